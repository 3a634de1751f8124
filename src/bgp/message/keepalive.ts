/** KEEPALIVE, RFC 4271 §4.4: a header and nothing else. The framer checks its length. */
import { withHeader } from "./header.ts";
import { MessageType } from "./types.ts";

const KEEPALIVE = withHeader(MessageType.keepalive, new Uint8Array(0));

/** The 19 octets of a KEEPALIVE; shared, not to be written to. */
export function encodeKeepalive(): Uint8Array {
  return KEEPALIVE;
}
