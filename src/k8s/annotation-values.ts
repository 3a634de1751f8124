/** Scalars of the BGP annotations, as kube-router and GoBGP write them. */
import { addressFromWord, familyOf, type IpAddress, parseAddress } from "../ip/address.ts";

/** Reports what is wrong with the annotation `name`; `value` only where it can hold no secret. */
export type ReportAnnotation = (name: string, text: string, value?: string) => void;

/**
 * IANA "BGP Well-known Communities", by the names that people and other daemons write.
 * https://www.iana.org/assignments/bgp-well-known-communities
 */
const WELL_KNOWN_COMMUNITIES: Readonly<Record<string, number>> = {
  internet: 0x0000_0000,
  "planned-shut": 0xffff_0000,
  "graceful-shutdown": 0xffff_0000,
  "accept-own": 0xffff_0001,
  "route-filter-translated-v4": 0xffff_0002,
  "route-filter-v4": 0xffff_0003,
  "route-filter-translated-v6": 0xffff_0004,
  "route-filter-v6": 0xffff_0005,
  "llgr-stale": 0xffff_0006,
  "no-llgr": 0xffff_0007,
  blackhole: 0xffff_029a,
  "no-export": 0xffff_ff01,
  "no-advertise": 0xffff_ff02,
  "no-export-subconfed": 0xffff_ff03,
  "no-peer": 0xffff_ff04,
};

/** An AS number that a speaker can have; not 0, AS_TRANS, the last ones: RFC 7607, 6793, 7300. */
export function parseAs(text: string): number | undefined {
  const as = parseUint(text, 0xffff_fffe);
  return as === 0 || as === 23_456 || as === 65_535 ? undefined : as;
}

/** Decimal digits only; undefined beyond `max`. */
export function parseUint(text: string, max: number): number | undefined {
  if (!/^\d{1,10}$/.test(text)) return undefined;
  const value = Number(text);
  return value <= max ? value : undefined;
}

/** A TCP port; 0 is none. */
export function parsePort(text: string): number | undefined {
  return parseUint(text, 65_535) || undefined;
}

/** Bytes of a TCP MD5 key: TCP_MD5SIG_MAXKEYLEN of Linux. */
export const PASSWORD_BYTES_MAX = 80;

/** Cluster id as number or as IPv4 address (RFC 4456 §7), as an address. */
export function parseClusterId(text: string): IpAddress | undefined {
  const word = parseUint(text, 0xffff_ffff);
  if (word !== undefined) return addressFromWord(word);
  const address = parseAddress(text);
  return address !== undefined && familyOf(address) === 4 ? address : undefined;
}

/** u32 of `4228186212`, `64512:100` or `no-export` (RFC 1997). */
export function parseCommunity(text: string): number | undefined {
  const name = text.toLowerCase();
  if (Object.hasOwn(WELL_KNOWN_COMMUNITIES, name)) return WELL_KNOWN_COMMUNITIES[name];
  const halves = text.split(":");
  if (halves.length === 1) return parseUint(text, 0xffff_ffff);
  const high = parseUint(halves[0]!, 0xffff);
  const low = parseUint(halves[1]!, 0xffff);
  if (halves.length !== 2 || high === undefined || low === undefined) return undefined;
  return high * 0x1_0000 + low;
}
