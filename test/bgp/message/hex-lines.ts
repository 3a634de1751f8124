/** Octets as hexadecimal lines, the way tcpdump writes them. */

/** Octets in groups of two, sixteen a line. */
export function hexLines(octets: Uint8Array, indent: string): string[] {
  const lines: string[] = [];
  for (let at = 0; at < octets.length; at += 16) {
    const digits = Buffer.from(octets.subarray(at, at + 16)).toString("hex");
    const offset = at.toString(16).padStart(4, "0");
    lines.push(`${indent}0x${offset}:  ${(digits.match(/.{1,4}/g) ?? []).join(" ")}`);
  }
  return lines;
}
