/**
 * NEXT_HOP, RFC 4271 §4.3 c, §5.1.3: one IPv4 address. It belongs to the NLRI behind the
 * attributes; beside MP_REACH_NLRI alone its value is ignored (RFC 4760 §3), so whether the
 * address is usable is judged later, by the decoder of the message.
 */
import { familyOf, wordOfAddress } from "../../../ip/address.ts";
import { isHostAddress4 } from "../../../ip/host-address.ts";
import { type ByteWriter, readU32 } from "../bytes.ts";
import { UpdateSubcode } from "../errors.ts";
import type { PathAttributes } from "../types.ts";
import {
  type AttributeCodec,
  AttributeType,
  type EncodeContext,
  WELL_KNOWN,
  writeAttributeHead,
} from "./codec.ts";
import type { AttributeDraft } from "./draft.ts";
import { type AttributeFault, fault, lengthFault } from "./fault.ts";

const TYPE = AttributeType.nextHop;

// RFC 7606 §7.3
const WRONG_LENGTH = lengthFault("withdraw", TYPE, "NEXT_HOP");

/** RFC 4271 §6.3 with RFC 7606 §3 e. */
export const UNUSABLE_NEXT_HOP: AttributeFault = fault(
  "withdraw",
  TYPE,
  UpdateSubcode.invalidNextHop,
  "NEXT_HOP is no address of a host",
);

export const nextHop: AttributeCodec = {
  type: TYPE,
  name: "NEXT_HOP",
  flags: WELL_KNOWN,
  decode,
  encode,
};

function decode(
  buffer: Uint8Array,
  start: number,
  end: number,
  draft: AttributeDraft,
): AttributeFault | undefined {
  if (end - start !== 4) return WRONG_LENGTH;
  const word = readU32(buffer, start);
  if (isHostAddress4(word)) draft.nextHop = draft.addressText(word);
  else draft.nextHopUnusable = true;
  return undefined;
}

function encode(attributes: PathAttributes, out: ByteWriter, context: EncodeContext): void {
  const address = attributes.nextHop;
  if (!context.withNextHop || address === undefined || familyOf(address) !== 4) return;
  writeAttributeHead(out, WELL_KNOWN, TYPE, 4);
  out.u32(wordOfAddress(address));
}

/** fe80::/10. */
export function isLinkLocal6(buffer: Uint8Array, at: number): boolean {
  return buffer[at] === 0xfe && (buffer[at + 1]! & 0xc0) === 0x80;
}
