/** Attributes that we only carry, of a length that their RFC forbids. */
import type { OpaqueText } from "../support/peers/peer.ts";

/** What we are given, and whether the route is to be kept, without the attribute. */
export const MALFORMED: readonly { readonly opaque: OpaqueText; readonly kept: boolean }[] = [
  { opaque: { type: 22, flags: 0xc0, hex: "00060000" }, kept: false }, // RFC 6514 §5
  { opaque: { type: 23, flags: 0xc0, hex: "0008ffff0102" }, kept: false }, // RFC 9012 §13
  { opaque: { type: 23, flags: 0xe0, hex: "" }, kept: false },
  { opaque: { type: 25, flags: 0xc0, hex: "00".repeat(19) }, kept: false }, // RFC 7606 §7.15
  { opaque: { type: 35, flags: 0xc0, hex: "0000fd" }, kept: false }, // RFC 9234 §5
  { opaque: { type: 35, flags: 0xe0, hex: "0000fde800" }, kept: false },
  { opaque: { type: 40, flags: 0xc0, hex: "01ffff" }, kept: true }, // RFC 8669 §6
  { opaque: { type: 40, flags: 0xe0, hex: "00".repeat(32) }, kept: true },
];

const ENDS = "ends the session";
const ENDS_INSIDE = "internal: ends the session; external: withdraws";

/**
 * What the daemons do who get them from somebody else than us, by name and version; the others take
 * the route. Each was seen, with lengths from 0 to 256 and Partial set.
 */
export const MALFORMED_SEEN: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  "PMSI_TUNNEL (22)": {
    "BIRD 3.4.0": "withdraws",
    "FRR 8.4.4": ENDS_INSIDE,
    "FRR 10.7.1": "withdraws",
    "GoBGP 3.10.0": "withdraws",
    "GoBGP 4.8.0": "withdraws",
    "ExaBGP 4.2.21": ENDS,
  },
  "TUNNEL_ENCAPSULATION (23)": {
    "FRR 8.4.4": ENDS_INSIDE,
    "FRR 10.7.1": "withdraws",
  },
  "IPv6 extended communities (25)": {
    "FRR 8.4.4": ENDS_INSIDE,
    "FRR 10.7.1": "withdraws",
    "GoBGP 3.10.0": "withdraws",
    "GoBGP 4.8.0": "withdraws",
    "ExaBGP 4.2.21": ENDS,
  },
  "ONLY_TO_CUSTOMER (35)": {
    "BIRD 2.0.12": "withdraws",
    "BIRD 3.4.0": "withdraws",
    "FRR 8.4.4": ENDS_INSIDE,
    "FRR 10.7.1": "withdraws",
    "OpenBGPD 7.7": ENDS,
  },
  "PREFIX_SID (40)": {
    "FRR 8.4.4": ENDS_INSIDE,
    "FRR 10.7.1": "withdraws",
    "ExaBGP 4.2.21": ENDS,
  },
};

/** What no length tells, and is passed on: seen as well. */
export const MALFORMED_NOTES: readonly string[] = [
  "FRR 8.4.4 as internal peer ends the session for contents too: an OTC of AS 0 (3/11), a " +
    "PMSI_TUNNEL of a type that it does not know or with an IPv6 address (3/9, 3/5), some " +
    "TUNNEL_ENCAPSULATION of several TLVs or with a sub-TLV of a type from 128 on (3/9), a PREFIX_SID " +
    "with an SRv6 TLV of one octet (3/5). 10.7.1 does not.",
  "FRR 8.4.4 as external peer ends it for a PMSI_TUNNEL or PREFIX_SID of a wrong length without " +
    "Partial (3/1); what we pass on has Partial.",
  "ExaBGP ends it for a PREFIX_SID whose TLVs are of type 0 and empty (1/0).",
  "AIGP (26) and BGP-LS (29) are not transitive, and end with us. Attributes 0, 34, 36, 38, 41, 128, " +
    "254 and 255 of any length end no session with any of them.",
];
