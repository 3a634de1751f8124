/**
 * BGP messages out of a capture file of tcpdump (Ethernet, IPv4): enough of pcap, IP and TCP to
 * put each direction of each connection together again. Independent of the product's own framer,
 * so that the two can disagree.
 */
import { readFile } from "node:fs/promises";

export interface CapturedMessage {
  /** Seconds since the epoch, of the packet that completed the message. */
  readonly time: number;
  readonly source: string;
  readonly destination: string;
  /** `source:port>destination:port`: one direction of one connection. */
  readonly stream: string;
  /** The whole message, header included. */
  readonly hex: string;
}

interface Stream {
  readonly segments: Map<number, Uint8Array>;
  next: number | undefined;
  pending: Uint8Array;
}

const PCAP_MAGIC = 0xa1b2c3d4;
const PCAP_MAGIC_NANO = 0xa1b23c4d;
const BGP_HEADER_BYTES = 19;

/** All complete BGP messages of a capture, in the order in which they were completed. */
export async function readBgpMessages(path: string, port = 179): Promise<CapturedMessage[]> {
  const file = await readFile(path);
  if (file.length < 24) return [];
  const little = file.readUInt32LE(0);
  const nano = little === PCAP_MAGIC_NANO;
  if (little !== PCAP_MAGIC && !nano) throw new Error(`${path} is no little-endian pcap file`);
  const linkType = file.readUInt32LE(20);
  if (linkType !== 1) throw new Error(`${path}: link type ${linkType} is not Ethernet`);
  const streams = new Map<string, Stream>();
  const messages: CapturedMessage[] = [];
  for (let at = 24; at + 16 <= file.length; ) {
    const time = file.readUInt32LE(at) + file.readUInt32LE(at + 4) / (nano ? 1e9 : 1e6);
    const captured = file.readUInt32LE(at + 8);
    const frame = file.subarray(at + 16, at + 16 + captured);
    at += 16 + captured;
    takeFrame(frame, time, port, streams, messages);
  }
  return messages;
}

function takeFrame(
  frame: Buffer,
  time: number,
  port: number,
  streams: Map<string, Stream>,
  messages: CapturedMessage[],
): void {
  if (frame.length < 54 || frame.readUInt16BE(12) !== 0x0800 || frame[23] !== 6) return;
  const ip = 14;
  const tcp = ip + (frame[ip]! & 15) * 4;
  const [sourcePort, destinationPort] = [frame.readUInt16BE(tcp), frame.readUInt16BE(tcp + 2)];
  if (sourcePort !== port && destinationPort !== port) return;
  const source = frame.subarray(ip + 12, ip + 16).join(".");
  const destination = frame.subarray(ip + 16, ip + 20).join(".");
  const key = `${source}:${sourcePort}>${destination}:${destinationPort}`;
  const sequence = frame.readUInt32BE(tcp + 4);
  const end = ip + frame.readUInt16BE(ip + 2);
  const payload = frame.subarray(tcp + (frame[tcp + 12]! >>> 4) * 4, end);
  if ((frame[tcp + 13]! & 2) !== 0) {
    streams.set(key, {
      segments: new Map(),
      next: (sequence + 1) >>> 0,
      pending: new Uint8Array(),
    });
    return;
  }
  const stream = streams.get(key);
  if (stream === undefined || payload.length === 0) return;
  stream.segments.set(sequence, payload);
  for (;;) {
    const segment = stream.segments.get(stream.next!);
    if (segment === undefined) break;
    stream.segments.delete(stream.next!);
    stream.next = (stream.next! + segment.length) >>> 0;
    stream.pending = Buffer.concat([stream.pending, segment]);
  }
  let pending = Buffer.from(stream.pending);
  while (pending.length >= BGP_HEADER_BYTES) {
    const length = pending.readUInt16BE(16);
    if (length < BGP_HEADER_BYTES || pending.length < length) break;
    const hex = pending.subarray(0, length).toString("hex");
    messages.push({ time, source, destination, stream: key, hex });
    pending = pending.subarray(length);
  }
  stream.pending = pending;
}
