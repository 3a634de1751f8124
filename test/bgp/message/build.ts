/** Short hands for writing UPDATEs down and for looking at what they decode to. */
import assert from "node:assert/strict";
import { isBgpError } from "../../../src/bgp/message/errors.ts";
import { withHeader } from "../../../src/bgp/message/header.ts";
import type {
  BgpError,
  NegotiatedSession,
  PathAttributes,
} from "../../../src/bgp/message/types.ts";
import type { DecodedUpdate } from "../../../src/bgp/message/update.ts";
import type { UpdateDecoder } from "../../../src/bgp/message/update-decoder.ts";
import { PrefixBatch } from "../../../src/ip/prefix-batch.ts";
import { bytes, concat, hex } from "../../support/hex.ts";
import { negotiatedSession } from "../../support/negotiated-session.ts";

export { address } from "../../support/address.ts";

/** A session with a 4-octet AS peer of both families. */
export function session(changes: Partial<NegotiatedSession> = {}): NegotiatedSession {
  return negotiatedSession({ families: [4, 6], enhancedRouteRefresh: true, ...changes });
}

export const external = { internal: false, remoteAs: 65_001 } as const;

/** An attribute; the extended length flag in `flags` decides the size of the length. */
export function attribute(flags: number, type: number, value: string | Uint8Array): Uint8Array {
  const octets = typeof value === "string" ? bytes(value) : value;
  const head =
    (flags & 0x10) === 0
      ? [flags, type, octets.length]
      : [flags, type, octets.length >>> 8, octets.length & 255];
  return concat(Uint8Array.from(head), octets);
}

/** A whole UPDATE. */
export function update(
  attributes: readonly Uint8Array[],
  nlri: string | Uint8Array = "",
  withdrawn: string | Uint8Array = "",
): Uint8Array {
  const octets = (value: string | Uint8Array) => (typeof value === "string" ? bytes(value) : value);
  const length = (value: Uint8Array) => Uint8Array.of(value.length >>> 8, value.length & 255);
  const list = concat(...attributes);
  const gone = octets(withdrawn);
  return withHeader(2, concat(length(gone), gone, length(list), list, octets(nlri)));
}

/** What an UPDATE decodes to, as plain values that outlive the decoder's next message. */
export interface Seen {
  readonly withdrawn: readonly string[];
  readonly announced: readonly string[];
  readonly mpUnreach: readonly string[];
  readonly mpReach: readonly string[];
  readonly attributes: PathAttributes | undefined;
  readonly mpAttributes: PathAttributes | undefined;
  readonly endOfRib: 4 | 6 | undefined;
  readonly treatment: string;
  readonly errors: readonly string[];
}

/** `10.0.0.0/8`, with ` id 7` behind it when there is a path identifier. */
export function rows(batch: PrefixBatch): string[] {
  return Array.from({ length: batch.count }, (_, row) => {
    const id = batch.pathId[row]!;
    return batch.prefixAt(row) + (id === 0 ? "" : ` id ${id}`);
  });
}

export function seen(result: DecodedUpdate): Seen {
  return {
    withdrawn: rows(result.withdrawn),
    announced: rows(result.announced),
    mpUnreach: rows(result.mpUnreach),
    mpReach: rows(result.mpReach),
    attributes: result.attributes,
    mpAttributes: result.mpAttributes,
    endOfRib: result.endOfRib,
    treatment: result.treatment,
    errors: result.errors.map((error) => `${error.treatment} ${error.type}: ${error.reason}`),
  };
}

/** Decodes a whole message that is no error. */
export function decoded(decoder: UpdateDecoder, message: Uint8Array): Seen {
  const result = decoder.decode(message, 19, message.length);
  assert.ok(!isBgpError(result), isBgpError(result) ? result.reason : "");
  return seen(result);
}

/** `3/1 data`, for a whole message that is one. */
export function errorOf(decoder: UpdateDecoder, message: Uint8Array): string {
  const result = decoder.decode(message, 19, message.length);
  assert.ok(isBgpError(result), "decoded without an error");
  return errorText(result);
}

export function errorText(error: BgpError): string {
  return `${error.code}/${error.subcode} ${hex(error.data)}`.trim();
}

/** A batch of IPv4 rows `[address, length, path id]`, addresses as u32. */
export function batch4(...list: readonly (readonly [number, number, number?])[]): PrefixBatch {
  const batch = new PrefixBatch();
  for (const [word, length, pathId] of list) batch.push4(word, length, pathId);
  return batch;
}
