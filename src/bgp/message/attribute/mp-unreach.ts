/**
 * MP_UNREACH_NLRI, RFC 4760 §4. Without NLRI, and alone in its message, it is the End-of-RIB of
 * its family (RFC 4724 §2).
 *
 * ```
 * +-------+----+--- --
 * |  AFI  |SAFI| NLRI      2 + 1 + n octets
 * +-------+----+--- --
 * ```
 */
import type { PrefixBatch } from "../../../ip/prefix-batch.ts";
import { readU16 } from "../bytes.ts";
import { UpdateSubcode } from "../errors.ts";
import { routeFamilyOf } from "../family.ts";
import { decodeNlri } from "../nlri.ts";
import { AttributeType } from "./codec.ts";
import { type AttributeFault, fault } from "./fault.ts";
import { hasMultiprotocolFlags, type MultiprotocolContext } from "./mp-reach.ts";

const BYTES_MIN = 3;

const WRONG_FLAGS = reset("wrong flags");
const TOO_SHORT = reset("too short");
const BAD_PREFIX = reset("NLRI is syntactically incorrect");
const NOT_NEGOTIATED = fault(
  "discard",
  AttributeType.mpUnreach,
  UpdateSubcode.optionalAttribute,
  "MP_UNREACH_NLRI of a family that was not negotiated",
);

/** RFC 7606 §5.3, RFC 4760 §7. */
function reset(what: string): AttributeFault {
  const reason = `MP_UNREACH_NLRI: ${what}`;
  return fault("reset", AttributeType.mpUnreach, UpdateSubcode.optionalAttribute, reason);
}

/** Fills `batch` with the prefixes. */
export function decodeMpUnreach(
  flags: number,
  buffer: Uint8Array,
  start: number,
  end: number,
  batch: PrefixBatch,
  context: MultiprotocolContext,
): AttributeFault | undefined {
  if (!hasMultiprotocolFlags(flags)) return WRONG_FLAGS;
  if (end - start < BYTES_MIN) return TOO_SHORT;
  const family = routeFamilyOf(readU16(buffer, start), buffer[start + 2]!);
  if (family === undefined || !context.families.includes(family)) return NOT_NEGOTIATED;
  batch.reset(family);
  const addPath = context.addPathReceive.includes(family);
  if (decodeNlri(batch, buffer, start + BYTES_MIN, end, addPath) !== undefined) return BAD_PREFIX;
  return undefined;
}
