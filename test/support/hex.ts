/** Octets of hexadecimal text; spaces, line breaks and `#` comments to the end of a line are free. */
export function bytes(text: string): Uint8Array {
  const digits = text.replaceAll(/#.*$/gm, "").replaceAll(/\s+/g, "");
  if (digits.length % 2 !== 0 || !/^[0-9a-fA-F]*$/.test(digits)) {
    throw new Error(`bug: not hexadecimal: ${text}`);
  }
  return Uint8Array.from(digits.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}

/** Lower-case hexadecimal digits of `value`. */
export function hex(value: Uint8Array): string {
  return Buffer.from(value).toString("hex");
}

/** One array of all `parts`. */
export function concat(...parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}
