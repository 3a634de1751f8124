/** Text for operators that holds names and words from elsewhere. */

/** As nearly all texts are, a million prefixes among them. */
const PLAIN = /^[\x20-\x7e]*$/;
/** Unicode C (control, format with the bidi marks, surrogate, private, unassigned), Zl and Zp. */
const UNSAFE = /[\p{C}\p{Zl}\p{Zp}]/gu;

/** Text on one line that cannot steer a terminal, nor change the order in which it is read. */
export function printable(text: string): string {
  return PLAIN.test(text) ? text : text.replaceAll(UNSAFE, "?");
}
