/** AS numbers of 4 octets beside speakers that know 2, RFC 6793. */

/** Stands in 2-octet fields for a number that needs 4, RFC 6793 §9. */
export const AS_TRANS = 23_456;

/** The 2-octet form of an AS number. */
export function twoOctetAs(as: number): number {
  return as > 0xffff ? AS_TRANS : as;
}
