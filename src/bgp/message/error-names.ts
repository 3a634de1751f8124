/** Names of NOTIFICATION codes and subcodes, IANA registries bgp-parameters-3 and following. */
const CODES: readonly (string | undefined)[] = [
  undefined,
  "Message Header Error",
  "OPEN Message Error",
  "UPDATE Message Error",
  "Hold Timer Expired",
  "Finite State Machine Error",
  "Cease",
  "ROUTE-REFRESH Message Error",
  "Send Hold Timer Expired",
];

/** By code, then subcode. Subcode 0 is "unspecific" everywhere and has no name here. */
const SUBCODES: readonly (readonly (string | undefined)[])[] = [
  [],
  // RFC 4271 §4.5
  [undefined, "Connection Not Synchronized", "Bad Message Length", "Bad Message Type"],
  // RFC 4271 §4.5, RFC 5492 §5, RFC 9234 §4.2
  [
    undefined,
    "Unsupported Version Number",
    "Bad Peer AS",
    "Bad BGP Identifier",
    "Unsupported Optional Parameter",
    "Authentication Failure",
    "Unacceptable Hold Time",
    "Unsupported Capability",
    undefined,
    undefined,
    undefined,
    "Role Mismatch",
  ],
  // RFC 4271 §4.5
  [
    undefined,
    "Malformed Attribute List",
    "Unrecognized Well-known Attribute",
    "Missing Well-known Attribute",
    "Attribute Flags Error",
    "Attribute Length Error",
    "Invalid ORIGIN Attribute",
    "AS Routing Loop",
    "Invalid NEXT_HOP Attribute",
    "Optional Attribute Error",
    "Invalid Network Field",
    "Malformed AS_PATH",
  ],
  [],
  // RFC 6608 §3
  [
    undefined,
    "Receive Unexpected Message in OpenSent State",
    "Receive Unexpected Message in OpenConfirm State",
    "Receive Unexpected Message in Established State",
  ],
  // RFC 4486 §3, RFC 8538 §3, RFC 9384 §3
  [
    undefined,
    "Maximum Number of Prefixes Reached",
    "Administrative Shutdown",
    "Peer De-configured",
    "Administrative Reset",
    "Connection Rejected",
    "Other Configuration Change",
    "Connection Collision Resolution",
    "Out of Resources",
    "Hard Reset",
    "BFD Down",
  ],
  // RFC 7313 §5
  [undefined, "Invalid Message Length"],
  [],
];

/** Name of an error code; `Error 99` for one that no RFC names. */
export function errorCodeName(code: number): string {
  return CODES[code] ?? `Error ${code}`;
}

/** Name of a subcode under its code; undefined for 0, `subcode 99` for one that no RFC names. */
export function errorSubcodeName(code: number, subcode: number): string | undefined {
  if (subcode === 0) return undefined;
  return SUBCODES[code]?.[subcode] ?? `subcode ${subcode}`;
}
