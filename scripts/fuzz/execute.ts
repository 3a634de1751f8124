/** One execution of the fuzzer: everything that the octets of a peer go through in the codec. */
import { isBgpError } from "../../src/bgp/message/errors.ts";
import { MessageFramer } from "../../src/bgp/message/framer.ts";
import { negotiate } from "../../src/bgp/message/negotiate.ts";
import {
  decodeNotification,
  describeNotification,
  encodeNotification,
} from "../../src/bgp/message/notification.ts";
import { decodeOpen, encodeOpen } from "../../src/bgp/message/open.ts";
import { decodeRouteRefresh } from "../../src/bgp/message/route-refresh.ts";
import {
  MessageType,
  type NegotiatedSession,
  type PathAttributes,
} from "../../src/bgp/message/types.ts";
import type { DecodedUpdate } from "../../src/bgp/message/update.ts";
import { UpdateDecoder } from "../../src/bgp/message/update-decoder.ts";
import { UpdateWriter } from "../../src/bgp/message/update-writer.ts";
import type { PrefixBatch } from "../../src/ip/prefix-batch.ts";
import { rows, seen, session } from "../../test/bgp/message/build.ts";
import { renderMessage } from "../../test/bgp/message/tcpdump-message.ts";

export interface FuzzSession {
  readonly negotiated: NegotiatedSession;
  /** Lives on from input to input, as in a real session: what one leaves behind shows in another. */
  readonly decoder: UpdateDecoder;
}

function fuzzSession(changes: Partial<NegotiatedSession>): FuzzSession {
  const negotiated = session(changes);
  return { negotiated, decoder: new UpdateDecoder(negotiated, { enforceFirstAs: false }) };
}

const BOTH = [4, 6] as const;
const external = { internal: false, remoteAs: 65_001 };

export const SESSIONS: Readonly<Record<string, FuzzSession>> = {
  internal: fuzzSession({}),
  external: fuzzSession(external),
  old: fuzzSession({ ...external, fourOctetAs: false }),
  addPath: fuzzSession({ addPathReceive: BOTH, addPathSend: BOTH, extendedNextHop: true }),
  only4: fuzzSession({ families: [4], receiveBytesMax: 65_535, sendBytesMax: 65_535 }),
  only6: fuzzSession({ ...external, families: [6] }),
};

/** A line for each message, and one for the error of the framing. Throws when a rule is broken. */
export function decodeStream(chunks: readonly Uint8Array[], target: FuzzSession): string[] {
  const framer = new MessageFramer(target.negotiated.receiveBytesMax);
  const lines: string[] = [];
  for (const chunk of chunks) {
    framer.feed(chunk);
    while (framer.next()) {
      renderMessage(framer.buffer, framer.start, framer.end);
      lines.push(decodeMessage(framer, target));
    }
  }
  if (framer.error !== undefined) lines.push(JSON.stringify(framer.error));
  return lines;
}

function decodeMessage(framer: MessageFramer, target: FuzzSession): string {
  const { buffer, body, end } = framer;
  switch (framer.type) {
    case MessageType.open:
      return checkOpen(buffer, body, end);
    case MessageType.update: {
      const result = target.decoder.decode(buffer, body, end);
      if (isBgpError(result)) return JSON.stringify(result);
      const line = JSON.stringify(seen(result));
      checkUpdate(result, target.negotiated);
      return line;
    }
    case MessageType.notification: {
      const notification = decodeNotification(buffer, body, end);
      encodeNotification(notification);
      return describeNotification(notification);
    }
    case MessageType.routeRefresh:
      return JSON.stringify(decodeRouteRefresh(buffer, body, end, true));
    case MessageType.keepalive:
      return "keepalive";
  }
}

function checkOpen(buffer: Uint8Array, start: number, end: number): string {
  const open = decodeOpen(buffer, start, end);
  if (isBgpError(open)) return JSON.stringify(open);
  const local = { as: 64_512, routerId: 1, holdSeconds: 90, capabilities: open.capabilities };
  negotiate(local, open, { remoteAs: undefined });
  // Texts are made safe when decoded, so that the octets differ; a second round must not.
  const once = encodeAgain(open);
  if (once !== undefined && encodeAgain(once) === undefined) throw new Error("OPEN grew");
  return JSON.stringify(open);
}

function encodeAgain(open: Exclude<ReturnType<typeof decodeOpen>, { code: number }>) {
  try {
    const wire = encodeOpen(open);
    const back = decodeOpen(wire, 19, wire.length);
    if (isBgpError(back)) throw new Error(`own OPEN refused: ${back.reason}`);
    return back;
  } catch (error) {
    // Capabilities over many parameters may need more room in one.
    if (error instanceof Error && error.message.startsWith("bug: OPEN of ")) return undefined;
    throw error;
  }
}

function checkUpdate(result: DecodedUpdate, negotiated: NegotiatedSession): void {
  const { attributes, mpAttributes, announced, mpReach, treatment } = result;
  if (treatment === "withdraw" && (attributes ?? mpAttributes) !== undefined) {
    throw new Error("attributes of a route that is withdrawn");
  }
  // The decoder's batches change with its next message: another one reads what is written now.
  const decoder = new UpdateDecoder(negotiated, { enforceFirstAs: false });
  if (attributes !== undefined) checkAgain(attributes, announced, negotiated, decoder);
  if (mpAttributes !== undefined) checkAgain(mpAttributes, mpReach, negotiated, decoder);
}

/** decode(encode(route)) = route. */
function checkAgain(
  attributes: PathAttributes,
  batch: PrefixBatch,
  negotiated: NegotiatedSession,
  decoder: UpdateDecoder,
): void {
  const { addPathReceive } = negotiated;
  const writer = new UpdateWriter({ ...negotiated, addPathSend: addPathReceive });
  if (writer.announce(attributes, batch) !== batch.count) throw new Error("no room");
  if (writer.oversized.length > 0) return;
  const framer = new MessageFramer(negotiated.receiveBytesMax);
  framer.feed(writer.take());
  const prefixes: string[] = [];
  while (framer.next()) {
    const back = decoder.decode(framer.buffer, framer.body, framer.end);
    if (isBgpError(back)) throw new Error(`own UPDATE refused: ${back.reason}`);
    const again = JSON.stringify(back.attributes ?? back.mpAttributes);
    if (again !== JSON.stringify(attributes)) {
      throw new Error(`attributes changed:\n${JSON.stringify(attributes)}\n${again}`);
    }
    prefixes.push(...rows(back.announced), ...rows(back.mpReach));
  }
  if (framer.error !== undefined) throw new Error(`own framing: ${framer.error.reason}`);
  if (prefixes.join() !== rows(batch).join()) throw new Error("prefixes changed");
}
