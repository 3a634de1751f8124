/** `[Nd ]HH:MM:SS` of a span in milliseconds, as gobgp writes it; negative spans count as none. */
export function formatAge(spanMs: number): string {
  const total = Math.max(0, Math.floor(spanMs / 1000));
  const days = Math.floor(total / 86_400);
  const two = (value: number): string => String(value).padStart(2, "0");
  const clock = [Math.floor((total % 86_400) / 3600), Math.floor((total % 3600) / 60), total % 60]
    .map(two)
    .join(":");
  return days > 0 ? `${days}d ${clock}` : clock;
}
