/**
 * One row for each way in which an attribute can be wrong, with what RFC 7606 and RFC 4271 §6.3
 * make of it. Built from the text of the RFCs; the shapes that broke other speakers are among
 * them. Where FRR's own suite differs (subcode 3/1 for the next hop of MP_REACH_NLRI, withdraw for
 * AS4_PATH), RFC 4760 §7 and RFC 6793 §6 decide.
 */

/** Internal and external peer with 4-octet AS, and an external peer without. */
export type Peer = "internal" | "external" | "old";

/**
 * `none`: nothing wrong. `discard`: attributes left out. `withdraw 3/x`: treated as withdrawn, and
 * in a message without prefixes the session ends with that NOTIFICATION (§5.2). `reset 3/x`: it
 * ends in any case. `+attribute` behind: the attribute is the NOTIFICATION's data. `withdraw
 * announced`: judged only where there are prefixes that it belongs to.
 */
export type Expected = string;

export interface AttributeCase {
  readonly name: string;
  readonly peers: readonly Peer[];
  readonly flags: number;
  readonly type: number;
  readonly value: string;
  readonly expected: Expected;
}

const ALL: readonly Peer[] = ["internal", "external", "old"];
const NEW: readonly Peer[] = ["internal", "external"];
const FROM_OUTSIDE: readonly Peer[] = ["external", "old"];
const INTERNAL: readonly Peer[] = ["internal"];
const OLD: readonly Peer[] = ["old"];

const LENGTH = "withdraw 3/5 +attribute";
const FLAGS = "withdraw 3/4 +attribute";

function rows(
  peers: readonly Peer[],
  type: number,
  list: readonly (readonly [name: string, flags: number, value: string, expected: Expected])[],
): AttributeCase[] {
  return list.map(([name, flags, value, expected]) => {
    return { name, peers, flags, type, value, expected };
  });
}

export const ATTRIBUTE_CASES: readonly AttributeCase[] = [
  // ORIGIN, RFC 7606 §7.1
  ...rows(ALL, 1, [
    ["ORIGIN of 0 octets", 0x40, "", LENGTH],
    ["ORIGIN of 2 octets", 0x40, "0000", LENGTH],
    ["ORIGIN 3", 0x40, "03", "withdraw 3/6 +attribute"],
    ["ORIGIN 4", 0x40, "04", "withdraw 3/6 +attribute"],
    ["ORIGIN 255", 0x40, "ff", "withdraw 3/6 +attribute"],
    ["ORIGIN, optional", 0xc0, "00", FLAGS],
    ["ORIGIN, not transitive", 0x00, "00", FLAGS],
    ["ORIGIN, partial", 0x60, "00", FLAGS],
    ["ORIGIN, extended length", 0x50, "00", "none"],
    ["ORIGIN, unused flags", 0x4f, "00", "none"],
  ]),
  // AS_PATH, RFC 7606 §7.2, RFC 7607 §2, RFC 5065 §5
  ...rows(NEW, 2, [
    ["AS_PATH, segment type 0", 0x40, "00 01 0000fde9", "withdraw 3/11"],
    ["AS_PATH, segment type 5", 0x40, "05 01 0000fde9", "withdraw 3/11"],
    ["AS_PATH, segment without AS", 0x40, "02 00", "withdraw 3/11"],
    ["AS_PATH, second segment without AS", 0x40, "02 01 0000fde9 01 00", "withdraw 3/11"],
    ["AS_PATH, segment runs over", 0x40, "02 ff 0000fde9", "withdraw 3/11"],
    ["AS_PATH, AS cut off", 0x40, "02 01 0000fd", "withdraw 3/11"],
    ["AS_PATH, head cut off", 0x40, "02 01 0000fde9 02", "withdraw 3/11"],
    ["AS_PATH, one octet", 0x40, "02", "withdraw 3/11"],
    ["AS_PATH, AS 0", 0x40, "02 02 0000fde9 00000000", "withdraw 3/11"],
    ["AS_PATH, AS 0 in a set", 0x40, "02 01 0000fde9 01 01 00000000", "withdraw 3/11"],
    ["AS_PATH, confederation sequence", 0x40, "03 01 0000fde9", "withdraw 3/11"],
    ["AS_PATH, confederation set", 0x40, "02 01 0000fde9 04 01 0000fde9", "withdraw 3/11"],
    ["AS_PATH, text", 0x40, "11223344", "withdraw 3/11"],
    ["AS_PATH, optional", 0xc0, "02 01 0000fde9", FLAGS],
    ["AS_PATH, partial", 0x60, "02 01 0000fde9", FLAGS],
  ]),
  ...rows(OLD, 2, [
    ["AS_PATH with 4-octet AS", 0x40, "02 01 0000fde9", "withdraw 3/11"],
    ["AS_PATH 0202ffdc", 0x40, "02 02 ffdc", "withdraw 3/11"],
    ["AS_PATH, AS 0", 0x40, "02 02 fde9 0000", "withdraw 3/11"],
  ]),
  ...rows(FROM_OUTSIDE, 2, [["AS_PATH, empty", 0x40, "", "withdraw announced"]]),
  ...rows(["external"], 2, [
    ["AS_PATH begins with another AS", 0x40, "02 01 0000fdea", "withdraw announced"],
    ["AS_PATH begins with a set", 0x40, "01 01 0000fde9", "withdraw announced"],
  ]),
  // NEXT_HOP, RFC 7606 §7.3, RFC 4271 §6.3
  ...rows(ALL, 3, [
    ["NEXT_HOP of 0 octets", 0x40, "", LENGTH],
    ["NEXT_HOP of 3 octets", 0x40, "c00002", LENGTH],
    ["NEXT_HOP of 5 octets", 0x40, "c000020100", LENGTH],
    ["NEXT_HOP, optional", 0xc0, "c0000201", FLAGS],
    ["NEXT_HOP, partial", 0x60, "c0000201", FLAGS],
  ]),
  // MULTI_EXIT_DISC, RFC 7606 §7.4
  ...rows(ALL, 4, [
    ["MULTI_EXIT_DISC of 0 octets", 0x80, "", LENGTH],
    ["MULTI_EXIT_DISC of 3 octets", 0x80, "000001", LENGTH],
    ["MULTI_EXIT_DISC of 5 octets", 0x80, "0000000100", LENGTH],
    ["MULTI_EXIT_DISC, transitive", 0xc0, "00000001", FLAGS],
    ["MULTI_EXIT_DISC, well-known", 0x40, "00000001", FLAGS],
    ["MULTI_EXIT_DISC, partial", 0xa0, "00000001", FLAGS],
  ]),
  // LOCAL_PREF, RFC 7606 §7.5
  ...rows(INTERNAL, 5, [
    ["LOCAL_PREF of 0 octets", 0x40, "", LENGTH],
    ["LOCAL_PREF of 3 octets", 0x40, "000064", LENGTH],
    ["LOCAL_PREF of 5 octets", 0x40, "0000006400", LENGTH],
    ["LOCAL_PREF, optional", 0xc0, "00000064", FLAGS],
  ]),
  ...rows(FROM_OUTSIDE, 5, [
    ["LOCAL_PREF", 0x40, "00000064", "discard"],
    ["LOCAL_PREF of 3 octets", 0x40, "000064", "discard"],
    ["LOCAL_PREF, optional", 0xc0, "00000064", "discard"],
  ]),
  // ATOMIC_AGGREGATE, RFC 7606 §7.6, flags §3 c
  ...rows(ALL, 6, [
    ["ATOMIC_AGGREGATE of 1 octet", 0x40, "00", "discard"],
    ["ATOMIC_AGGREGATE, optional", 0xc0, "", FLAGS],
  ]),
  // AGGREGATOR, RFC 7606 §7.7, RFC 7607 §2
  ...rows(ALL, 7, [
    ["AGGREGATOR of 0 octets", 0xc0, "", "discard"],
    ["AGGREGATOR of 5 octets", 0xc0, "0000006400", "discard"],
    ["AGGREGATOR of 7 octets", 0xc0, "00000064000000", "discard"],
    ["AGGREGATOR of 9 octets", 0xc0, "000000640000000000", "discard"],
    ["AGGREGATOR, not transitive", 0x80, "0000fde9 0a000001", FLAGS],
  ]),
  ...rows(NEW, 7, [
    ["AGGREGATOR with 2-octet AS", 0xc0, "fde9 0a000001", "discard"],
    ["AGGREGATOR, AS 0", 0xc0, "00000000 0a000001", "discard"],
  ]),
  ...rows(OLD, 7, [
    ["AGGREGATOR with 4-octet AS", 0xc0, "0000fde9 0a000001", "discard"],
    ["AGGREGATOR, AS 0", 0xc0, "0000 0a000001", "discard"],
  ]),
  // COMMUNITIES, RFC 7606 §7.8
  ...rows(ALL, 8, [
    ["COMMUNITIES of 0 octets", 0xc0, "", LENGTH],
    ["COMMUNITIES of 5 octets", 0xc0, "fde8000100", LENGTH],
    ["COMMUNITIES, not transitive", 0x80, "fde80001", FLAGS],
    ["COMMUNITIES, partial", 0xe0, "fde80001", "none"],
  ]),
  // ORIGINATOR_ID, CLUSTER_LIST, RFC 7606 §7.9, §7.10
  ...rows(INTERNAL, 9, [
    ["ORIGINATOR_ID of 0 octets", 0x80, "", LENGTH],
    ["ORIGINATOR_ID of 3 octets", 0x80, "0a0000", LENGTH],
    ["ORIGINATOR_ID of 5 octets", 0x80, "0a00000100", LENGTH],
    ["ORIGINATOR_ID, transitive", 0xc0, "0a000001", FLAGS],
  ]),
  ...rows(INTERNAL, 10, [
    ["CLUSTER_LIST of 0 octets", 0x80, "", LENGTH],
    ["CLUSTER_LIST of 5 octets", 0x80, "0a00000100", LENGTH],
    ["CLUSTER_LIST, transitive", 0xc0, "0a000001", FLAGS],
  ]),
  ...rows(FROM_OUTSIDE, 9, [
    ["ORIGINATOR_ID", 0x80, "0a000001", "discard"],
    ["ORIGINATOR_ID of 3 octets", 0x80, "0a0000", "discard"],
  ]),
  ...rows(FROM_OUTSIDE, 10, [
    ["CLUSTER_LIST", 0x80, "0a000001", "discard"],
    ["CLUSTER_LIST of 5 octets", 0x80, "0a00000100", "discard"],
  ]),
  // EXTENDED COMMUNITIES, RFC 7606 §7.14; IPv6, §7.15; LARGE_COMMUNITY, RFC 8092 §6
  ...rows(ALL, 16, [
    ["EXTENDED COMMUNITIES of 0 octets", 0xc0, "", LENGTH],
    ["EXTENDED COMMUNITIES of 9 octets", 0xc0, "0002fde80000006400", LENGTH],
    ["EXTENDED COMMUNITIES, not transitive", 0x80, "0002fde800000064", FLAGS],
  ]),
  ...rows(ALL, 25, [
    ["IPv6 EXTENDED COMMUNITIES of 0 octets", 0xc0, "", LENGTH],
    ["IPv6 EXTENDED COMMUNITIES of 21 octets", 0xc0, "00".repeat(21), LENGTH],
    ["IPv6 EXTENDED COMMUNITIES, not transitive", 0x80, "00".repeat(20), FLAGS],
    ["IPv6 EXTENDED COMMUNITIES", 0xc0, "00".repeat(20), "none"],
  ]),
  ...rows(ALL, 32, [
    ["LARGE_COMMUNITY of 0 octets", 0xc0, "", LENGTH],
    ["LARGE_COMMUNITY of 13 octets", 0xc0, "00".repeat(13), LENGTH],
    ["LARGE_COMMUNITY, well-known", 0x40, "00".repeat(12), FLAGS],
    ["LARGE_COMMUNITY of reserved values", 0xc0, "00".repeat(12), "none"],
  ]),
  // AS4_PATH, AS4_AGGREGATOR, RFC 6793 §6, RFC 7607 §2
  ...rows(NEW, 17, [
    ["AS4_PATH", 0xc0, "02 01 0000fde9", "discard"],
    ["AS4_PATH, text and wrong flags", 0x60, "11223344", "discard"],
  ]),
  ...rows(OLD, 17, [
    ["AS4_PATH of 0 octets", 0xc0, "", "discard"],
    ["AS4_PATH of 5 octets", 0xc0, "02 01 0000fd", "discard"],
    ["AS4_PATH, segment type 0", 0xc0, "00 01 0000fde9", "discard"],
    ["AS4_PATH, segment without AS", 0xc0, "02 01 0000fde9 02 00", "discard"],
    ["AS4_PATH, segment runs over", 0xc0, "02 02 0000fde9", "discard"],
    ["AS4_PATH, AS 0", 0xc0, "02 01 00000000", "discard"],
    ["AS4_PATH, well-known", 0x60, "02 01 0000fde9", FLAGS],
  ]),
  ...rows(NEW, 18, [["AS4_AGGREGATOR", 0xc0, "0000fde9 0a000001", "discard"]]),
  ...rows(OLD, 18, [
    ["AS4_AGGREGATOR of 7 octets", 0xc0, "0000fde9 0a0000", "discard"],
    ["AS4_AGGREGATOR of 9 octets", 0xc0, "0000fde9 0a000001 00", "discard"],
    ["AS4_AGGREGATOR, AS 0", 0xc0, "00000000 0a000001", "discard"],
    ["AS4_AGGREGATOR, not transitive", 0x80, "0000fde9 0a000001", FLAGS],
  ]),
  // Carried without a look into them, but for the lengths that their RFCs demand of any value
  ...rows(ALL, 22, [
    ["PMSI tunnel of 4 octets", 0xc0, "00060000", LENGTH],
    ["PMSI tunnel, empty", 0xc0, "", LENGTH],
    ["PMSI tunnel of 5 octets", 0xc0, "0000000000", "none"],
    ["PMSI tunnel, type unknown", 0xc0, "00ff000000 0a000001", "none"],
  ]),
  ...rows(ALL, 23, [
    ["tunnel encapsulation of 3 octets", 0xc0, "000100", LENGTH],
    ["tunnel encapsulation, TLV runs over", 0xc0, "0001 ffff 0102", LENGTH],
    ["tunnel encapsulation, an octet left over", 0xc0, "0008 0000 00", LENGTH],
    ["tunnel encapsulation, second TLV cut off", 0xc0, "0008 0002 0100 0001 0001", LENGTH],
    ["tunnel encapsulation, sub-TLV runs over", 0xc0, "0008 0004 06 03 0000 0001 0000", LENGTH],
    ["tunnel encapsulation, sub-TLV cut off", 0xc0, "0008 0003 06 00 06", LENGTH],
    ["tunnel encapsulation, long sub-TLV cut off", 0xc0, "000f 0002 80 00", LENGTH],
    ["tunnel encapsulation, long sub-TLV runs over", 0xc0, "000f 0004 80 0002 00", LENGTH],
    ["tunnel encapsulation, empty", 0xc0, "", LENGTH],
    ["tunnel encapsulation without sub-TLVs", 0xc0, "0008 0000", "none"],
    ["tunnel encapsulation, two TLVs", 0xc0, "0008 0002 0100 000f 0004 80 0001 00", "none"],
    ["tunnel encapsulation, type unknown", 0xc0, "ffff 0003 7f 01 00", "none"],
    ["tunnel encapsulation, not transitive", 0x80, "000100", FLAGS],
  ]),
  ...rows(ALL, 26, [
    ["AIGP, bad TLV", 0x80, "02 ffff 00", "none"],
    ["AIGP, transitive", 0xc0, "01 000b 0000000000000001", "discard"],
  ]),
  ...rows(ALL, 29, [
    ["BGP-LS, cut off", 0x80, "0400 ffff", "none"],
    ["BGP-LS, transitive", 0xc0, "0400", "discard"],
  ]),
  ...rows(ALL, 40, [
    ["Prefix-SID, zeros (May 2025)", 0xc0, "00".repeat(32), "discard"],
    ["Prefix-SID, TLV runs over", 0xc0, "01 ffff", "discard"],
    ["Prefix-SID of 1 octet", 0xc0, "01", "discard"],
    ["Prefix-SID of 0 octets", 0xc0, "", "discard"],
    ["Prefix-SID, label index of 6 octets", 0xc0, "01 0006 000000000000", "discard"],
    ["Prefix-SID, SRGB of 2 octets", 0xc0, "03 0002 0000", "discard"],
    ["Prefix-SID, SRGB of 7 octets", 0xc0, "03 0007 00000000000000", "discard"],
    ["Prefix-SID", 0xc0, "01 0007 00000000000001 03 0008 0000 003e80 001f40", "none"],
    ["Prefix-SID, type unknown", 0xc0, "09 0001 00", "none"],
    ["Prefix-SID, not transitive", 0x80, "00", "discard"],
  ]),
  ...rows(ALL, 35, [
    ["only-to-customer of 0 octets", 0xc0, "", LENGTH],
    ["only-to-customer of 3 octets", 0xc0, "0000fd", LENGTH],
    ["only-to-customer of 5 octets", 0xe0, "0000fde800", LENGTH],
    ["only-to-customer", 0xc0, "0000fde8", "none"],
    ["only-to-customer, not transitive", 0x80, "0000fde8", FLAGS],
  ]),
  ...rows(ALL, 128, [["attribute set, cut off", 0xc0, "000000", "none"]]),
  // Unknown, RFC 4271 §9, §6.3
  ...rows(ALL, 20, [["attribute 20, transitive", 0xc0, "0102", "none"]]),
  ...rows(ALL, 28, [["attribute 28 (June 2023)", 0xe0, "00".repeat(8), "none"]]),
  ...rows(ALL, 31, [["attribute 31, 16 octets", 0xc0, "00".repeat(16), "none"]]),
  ...rows(ALL, 253, [["attribute 253, not transitive", 0x80, "0102", "none"]]),
  ...rows(ALL, 254, [["attribute 254, transitive, empty", 0xc0, "", "none"]]),
  ...rows(ALL, 255, [["attribute 255 (January 2019)", 0xe0, "5a".repeat(32), "none"]]),
  ...rows(ALL, 99, [
    ["attribute 99, well-known", 0x40, "0102", "reset 3/2 +attribute"],
    ["attribute 99, neither optional nor transitive", 0x00, "", "reset 3/2 +attribute"],
  ]),
  // MP_REACH_NLRI, RFC 7606 §5.3, §7.11, RFC 4760 §7
  ...rows(ALL, 14, [
    ["MP_REACH_NLRI of 0 octets", 0x80, "", "reset 3/9 +attribute"],
    ["MP_REACH_NLRI of 4 octets", 0x80, "00020100", "reset 3/9 +attribute"],
    ["MP_REACH_NLRI, text and wrong flags", 0x60, "11223344", "reset 3/9 +attribute"],
    ["MP_REACH_NLRI, transitive", 0xc0, reach("20 20010db8"), "reset 3/9 +attribute"],
    ["MP_REACH_NLRI, next hop of 0", 0x80, "000201 00 00 20 20010db8", "reset 3/9 +attribute"],
    ["MP_REACH_NLRI, next hop of 4", 0x80, "000201 04 c0000201 00", "reset 3/9 +attribute"],
    ["MP_REACH_NLRI, next hop of 9", 0x80, nextHop(9, 26), "reset 3/9 +attribute"],
    ["MP_REACH_NLRI, next hop of 64 in 17", 0x80, nextHop(64, 17), "reset 3/9 +attribute"],
    ["MP_REACH_NLRI, next hop of 16 in 5", 0x80, nextHop(16, 5), "reset 3/9 +attribute"],
    ["MP_REACH_NLRI, next hop of 16 in 8", 0x80, nextHop(16, 8), "reset 3/9 +attribute"],
    ["MP_REACH_NLRI, no reserved octet", 0x80, nextHop(16, 16), "reset 3/9 +attribute"],
    [
      "MP_REACH_NLRI, prefix of 129 bits",
      0x80,
      reach(`81${"00".repeat(17)}`),
      "reset 3/9 +attribute",
    ],
    ["MP_REACH_NLRI, prefix cut off", 0x80, reach("40 20010db8"), "reset 3/9 +attribute"],
  ]),
  // MP_UNREACH_NLRI, RFC 7606 §5.3, RFC 4760 §7
  ...rows(ALL, 15, [
    ["MP_UNREACH_NLRI of 0 octets", 0x80, "", "reset 3/9 +attribute"],
    ["MP_UNREACH_NLRI of 2 octets", 0x80, "0002", "reset 3/9 +attribute"],
    ["MP_UNREACH_NLRI, text and wrong flags", 0x60, "11223344", "reset 3/9 +attribute"],
    ["MP_UNREACH_NLRI, transitive", 0xc0, "000201 20 20010db8", "reset 3/9 +attribute"],
    ["MP_UNREACH_NLRI, /64 with 4 octets", 0x80, "000201 40 20010db8", "reset 3/9 +attribute"],
    ["MP_UNREACH_NLRI, /129", 0x80, `000201 81${"00".repeat(17)}`, "reset 3/9 +attribute"],
  ]),
];

/** Value of MP_REACH_NLRI with a good next hop. */
export function reach(nlri: string, nextHop = "20010db8000000000000000000000001"): string {
  return `000201 10 ${nextHop} 00 ${nlri}`;
}

function nextHop(length: number, present: number): string {
  return `000201 ${length.toString(16).padStart(2, "0")} ${"20".repeat(present)}`;
}
