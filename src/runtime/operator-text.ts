/** Text for operators that holds names and words from elsewhere. */

/** As nearly all texts are, a million prefixes among them. */
const PLAIN = /^[\x20-\x7e]*$/;
/** Unicode C (control, format with the bidi marks, surrogate, private, unassigned), Zl and Zp. */
const UNSAFE = /[\p{C}\p{Zl}\p{Zp}]/gu;

/** Text on one line that cannot steer a terminal, nor change the order in which it is read. */
export function printable(text: string): string {
  return PLAIN.test(text) ? text : text.replaceAll(UNSAFE, "?");
}

/** The first `max` of some names, and how many there are besides: `a, b and 3 more`. */
export function someOf(names: readonly string[], max: number): string {
  const rest = names.length - max;
  const first = names.slice(0, max).join(", ");
  return rest > 0 ? `${first} and ${rest} more` : first;
}

/** What was thrown, in its own words. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}

/** What a refusal of that errno mostly means, to stand behind the kernel's words; or nothing. */
export function capabilityHint(code: string): string {
  return code === "EPERM" ? " (is CAP_NET_ADMIN missing?)" : "";
}
