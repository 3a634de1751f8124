/**
 * Writes capture files: octets of a TCP stream as Ethernet, IPv4 and TCP frames, so that tcpdump
 * and tshark can be asked what they think of them. Format: pcap 2.4, little-endian, microseconds.
 */

const LINK_ETHERNET = 1;
/** As on a loopback interface: tcpdump does not put a message together again. */
const MSS = 60_000;

/** One direction of a connection. */
export interface PcapEnd {
  readonly address: readonly [number, number, number, number];
  readonly port: number;
}

interface Direction {
  readonly source: PcapEnd;
  readonly destination: PcapEnd;
  sequence: number;
}

/** A capture of one TCP connection between two ends. */
export class PcapWriter {
  readonly #parts: Buffer[];
  readonly #forward: Direction;
  readonly #backward: Direction;
  #microseconds: number;

  constructor(client: PcapEnd, server: PcapEnd) {
    this.#parts = [fileHeader()];
    this.#forward = { source: client, destination: server, sequence: 1 };
    this.#backward = { source: server, destination: client, sequence: 1 };
    this.#microseconds = 0;
  }

  /** Octets from client to server; more than a segment holds go in several. */
  send(octets: Uint8Array): void {
    this.#write(octets, this.#forward, this.#backward);
  }

  /** Octets from server to client. */
  reply(octets: Uint8Array): void {
    this.#write(octets, this.#backward, this.#forward);
  }

  /** The file so far. */
  toBytes(): Uint8Array {
    return new Uint8Array(Buffer.concat(this.#parts));
  }

  #write(octets: Uint8Array, from: Direction, to: Direction): void {
    for (let at = 0; at < octets.length; at += MSS) {
      const payload = octets.subarray(at, at + MSS);
      const last = at + MSS >= octets.length;
      const tcp = tcpSegment(from, to.sequence, payload, last);
      const frame = Buffer.concat([ethernetHeader(), ipv4Header(from, tcp.length), tcp]);
      const record = Buffer.alloc(16);
      record.writeUInt32LE(Math.floor(this.#microseconds / 1e6), 0);
      record.writeUInt32LE(this.#microseconds % 1e6, 4);
      record.writeUInt32LE(frame.length, 8);
      record.writeUInt32LE(frame.length, 12);
      this.#parts.push(record, frame);
      this.#microseconds += 100;
      from.sequence += payload.length;
    }
  }
}

function fileHeader(): Buffer {
  const header = Buffer.alloc(24);
  header.writeUInt32LE(0xa1b2c3d4, 0);
  header.writeUInt16LE(2, 4);
  header.writeUInt16LE(4, 6);
  header.writeUInt32LE(65_535, 16);
  header.writeUInt32LE(LINK_ETHERNET, 20);
  return header;
}

function ethernetHeader(): Buffer {
  const header = Buffer.alloc(14);
  header[5] = 2;
  header[11] = 1;
  header.writeUInt16BE(0x0800, 12);
  return header;
}

function ipv4Header(direction: Direction, payloadBytes: number): Buffer {
  const header = Buffer.alloc(20);
  header[0] = 0x45;
  header.writeUInt16BE(20 + payloadBytes, 2);
  header.writeUInt16BE(0x4000, 6);
  header[8] = 64;
  header[9] = 6;
  header.set(direction.source.address, 12);
  header.set(direction.destination.address, 16);
  header.writeUInt16BE(checksum(header), 10);
  return header;
}

function tcpSegment(
  from: Direction,
  acknowledged: number,
  payload: Uint8Array,
  push: boolean,
): Buffer {
  const segment = Buffer.alloc(20 + payload.length);
  segment.writeUInt16BE(from.source.port, 0);
  segment.writeUInt16BE(from.destination.port, 2);
  segment.writeUInt32BE(from.sequence, 4);
  segment.writeUInt32BE(acknowledged, 8);
  segment[12] = 0x50;
  segment[13] = push ? 0x18 : 0x10;
  segment.writeUInt16BE(65_535, 14);
  segment.set(payload, 20);
  const pseudo = Buffer.alloc(12);
  pseudo.set(from.source.address, 0);
  pseudo.set(from.destination.address, 4);
  pseudo[9] = 6;
  pseudo.writeUInt16BE(segment.length, 10);
  segment.writeUInt16BE(checksum(Buffer.concat([pseudo, segment])), 16);
  return segment;
}

/** RFC 1071. */
function checksum(octets: Buffer): number {
  let sum = 0;
  for (let at = 0; at < octets.length; at += 2) {
    sum += (octets[at]! << 8) | (octets[at + 1] ?? 0);
  }
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}
