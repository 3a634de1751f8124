/** Attributes to octets, in the order of their types (RFC 4271 §5). */
import { AttributeFlag, type EncodeContext } from "./attribute/codec.ts";
import { encodeOpaque } from "./attribute/opaque.ts";
import { ATTRIBUTES } from "./attribute/table.ts";
import type { ByteWriter } from "./bytes.ts";
import type { PathAttributes } from "./types.ts";

/**
 * Appends all attributes of a route but MP_REACH_NLRI. What an external peer must not see
 * (LOCAL_PREF, ORIGINATOR_ID, CLUSTER_LIST) is left out for it; a peer without 4-octet AS gets
 * AS4_PATH and AS4_AGGREGATOR where they are needed (RFC 6793 §4.2.2).
 */
export function encodeAttributes(
  attributes: PathAttributes,
  context: EncodeContext,
  out: ByteWriter,
): void {
  const { opaque } = attributes;
  let next = 0;
  for (const codec of ATTRIBUTES) {
    while (next < opaque.length && opaque[next]!.type < codec.type) {
      encodeOpaque(opaque[next++]!, out);
    }
    const head = out.length;
    codec.encode(attributes, out, context);
    // RFC 4271 §5: once set, Partial stays.
    if (out.length > head && attributes.partial?.includes(codec.type) === true) {
      out.bytes[head] = out.bytes[head]! | AttributeFlag.partial;
    }
  }
  while (next < opaque.length) encodeOpaque(opaque[next++]!, out);
}
