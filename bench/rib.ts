/**
 * The RIB alone, in one process: the feed of scenario S1 (1,000,000 IPv4 prefixes, 100,000
 * attribute sets, at most 5 prefixes an UPDATE, one external sender, one external receiver), from
 * received octets to octets ready to send. Informal: no kernel, no other daemon.
 *
 *   node_modules/node/bin/node bench/rib.ts [prefixes] [attribute sets] [scattered]
 */
import { fromCommandLine, numberOf, UsageError, wordsOf } from "../scripts/command-line.ts";
import type { PathAttributes } from "../src/bgp/message/types.ts";
import { SegmentType } from "../src/bgp/message/types.ts";
import { UpdateDecoder } from "../src/bgp/message/update-decoder.ts";
import { UpdateWriter } from "../src/bgp/message/update-writer.ts";
import type { Policy } from "../src/bgp/rib/policy-types.ts";
import { Rib } from "../src/bgp/rib/rib.ts";
import type { RibPeer } from "../src/bgp/rib/rib-peer.ts";
import { parseAddress } from "../src/ip/address.ts";
import { PrefixBatch } from "../src/ip/prefix-batch.ts";
import { negotiatedSession } from "../test/support/negotiated-session.ts";
import { PLAIN_ATTRIBUTES } from "../test/support/plain-attributes.ts";

const USAGE = "node_modules/node/bin/node bench/rib.ts [prefixes] [attribute sets] [scattered]";
const { PREFIXES, SETS, SCATTERED } = fromCommandLine("rib", USAGE, (args) => {
  const [prefixes = "1000000", sets = "100000", order] = wordsOf(args, 3);
  if (order !== undefined && order !== "scattered") {
    throw new UsageError(`expected scattered, or nothing, not ${order}`);
  }
  return {
    PREFIXES: numberOf("prefixes", prefixes, 1),
    SETS: numberOf("attribute sets", sets, 1),
    SCATTERED: order === "scattered",
  };
});
const UPDATE_PREFIXES = 5;
const ROUNDS = Math.ceil((2 * PREFIXES) / SETS / UPDATE_PREFIXES);
const SENDER = parseAddress("192.0.2.1");
/** Octets that a session reads in one turn of the event loop. */
const READ_BYTES = 65536;
const WRITE_BYTES = 262_144;

const ACCEPT: Policy = { name: "all", statements: [], defaultResult: "accept" };

/** A small generator with a fixed seed, so that runs can be compared. */
let state = 42;
function random(below: number): number {
  state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
  return Math.floor((state / 0x1_0000_0000) * below);
}

function externalSession(remoteAs: number, remoteRouterId: number) {
  return negotiatedSession({ remoteAs, remoteRouterId, internal: false });
}

function peerOf(address: string, remoteAs: number, id: number): RibPeer {
  return {
    name: address,
    address: parseAddress(address)!,
    internal: false,
    remoteAs,
    remoteRouterId: id,
    localAs: 64512,
    routeReflectorClient: false,
    nextHopSelf: false,
    nextHops: [parseAddress("192.0.2.254")!],
    importPolicy: ACCEPT,
    exportPolicy: ACCEPT,
    maximumPrefixes: undefined,
    negotiated: externalSession(remoteAs, id),
  };
}

/**
 * The stream of the sender, made piece by piece so that it takes no memory: prefix number i is a
 * permutation of the address space, set number k has its own AS_PATH and communities. Contiguous:
 * one set after another; scattered: all first UPDATEs of all sets, then all second ones, …
 */
class Stream {
  private readonly withdraw: boolean;
  private readonly writer = new UpdateWriter(externalSession(65001, 2));
  private readonly batch = new PrefixBatch();
  private readonly starts: Uint32Array;
  private set = 0;
  private round = 0;

  constructor(withdraw: boolean) {
    this.withdraw = withdraw;
    state = 42;
    this.starts = new Uint32Array(SETS + 1);
    const mean = PREFIXES / SETS;
    for (let set = 0, at = 0; set < SETS; set++) {
      this.starts[set] = at;
      at = Math.min(PREFIXES - (SETS - set - 1), at + 1 + random(2 * mean - 1));
    }
    this.starts[SETS] = PREFIXES;
  }

  /** About READ_BYTES octets of whole messages; empty at the end. */
  read(): Uint8Array {
    while (this.writer.length + 512 < READ_BYTES && this.set < SETS) this.writeUpdate();
    return this.writer.take();
  }

  private writeUpdate(): void {
    const set = this.set;
    const from = this.starts[set]! + this.round * UPDATE_PREFIXES;
    const to = Math.min(from + UPDATE_PREFIXES, this.starts[set + 1]!);
    this.batch.reset(4);
    for (let i = from; i < to; i++) pushNth(this.batch, i);
    if (to > from) {
      if (this.withdraw) this.writer.withdraw(this.batch);
      else this.writer.announce(attributesOf(set), this.batch);
    }
    if (!SCATTERED && to < this.starts[set + 1]!) this.round++;
    else {
      this.set++;
      if (!SCATTERED) this.round = 0;
      else if (this.set === SETS && this.round < ROUNDS) {
        this.round++;
        this.set = 0;
      }
    }
  }
}

/** A permutation of 20 bits spreads neighbours over the whole space. */
function pushNth(batch: PrefixBatch, i: number): void {
  const block = i >>> 20;
  const spread = Math.imul(i & 0xf_ffff, 0x9e375) & 0xf_ffff;
  const length = i % 8 === 7 ? 22 : 24;
  batch.push4((0x0100_0000 + ((block * 0x10_0000 + spread) << 10)) >>> 0, length);
}

function attributesOf(set: number): PathAttributes {
  const asns = [65001, 3000 + (set & 1023), 100_000 + set, 50_000 + (set % 997)];
  return {
    ...PLAIN_ATTRIBUTES,
    asPath: [{ type: SegmentType.sequence, asns }],
    nextHop: SENDER,
    communities: [0xfde9_0000 + (set & 0xffff), 0x0bb8_0000 + (set % 499)],
  };
}

interface Phase {
  readonly ms: number;
  readonly messages: number;
  readonly outBytes: number;
  readonly outMessages: number;
  readonly longestMs: number;
}

/** Feeds the stream in reads of READ_BYTES; after each, the receiver's output is fetched. */
function feed(rib: Rib, from: number, to: number, withdraw: boolean): Phase {
  const stream = new Stream(withdraw);
  const decoder = new UpdateDecoder(externalSession(65001, 2));
  const phase = { ms: 0, messages: 0, outBytes: 0, outMessages: 0, longestMs: 0 };
  for (let bytes = stream.read(); bytes.length > 0; bytes = stream.read()) {
    const begin = performance.now();
    for (let at = 0; at < bytes.length; ) {
      const length = (bytes[at + 16]! << 8) | bytes[at + 17]!;
      const update = decoder.decode(bytes, at + 19, at + length);
      if (!("treatment" in update)) throw new Error(update.reason);
      rib.update(from, update);
      at += length;
      phase.messages++;
    }
    while (rib.hasOutput(to)) {
      for (const out of rib.drainOutput(to, WRITE_BYTES)) {
        phase.outBytes += out.length;
        for (let i = 0; i < out.length; i += (out[i + 16]! << 8) | out[i + 17]!) {
          phase.outMessages++;
        }
      }
    }
    if (rib.hasOutput(from)) rib.drainOutput(from, WRITE_BYTES);
    const took = performance.now() - begin;
    phase.ms += took;
    phase.longestMs = Math.max(phase.longestMs, took);
  }
  return phase;
}

function show(name: string, phase: Phase): void {
  const { rss, heapUsed, arrayBuffers } = process.memoryUsage();
  const megabytes = (bytes: number) => (bytes / 1e6).toFixed(0);
  process.stdout.write(
    `${name.padEnd(9)} ${(phase.ms / 1000).toFixed(2)} s  ${phase.messages} UPDATEs in, ` +
      `${phase.outMessages} out (${(phase.outBytes / 1e6).toFixed(1)} MB), ` +
      `longest turn ${phase.longestMs.toFixed(1)} ms, RSS ${megabytes(rss)} MB ` +
      `(heap ${megabytes(heapUsed)}, columns and buffers ${megabytes(arrayBuffers)})\n`,
  );
}

process.stdout.write(`RSS before ${(process.memoryUsage.rss() / 1e6).toFixed(0)} MB\n`);
const rib = new Rib({
  localAs: 64512,
  routerId: 1,
  clusterId: 1,
  maximumPaths: 1,
  now: () => Date.now(),
  hashSeed: 0x1234_5678,
  onOutputReady: () => {},
  onWork: () => {},
});
const sender = rib.peerUp(peerOf("192.0.2.1", 65001, 2));
const receiver = rib.peerUp(peerOf("192.0.2.2", 65002, 3));
for (const id of [sender, receiver]) while (rib.hasOutput(id)) rib.drainOutput(id, WRITE_BYTES);
show("load", feed(rib, sender, receiver, false));
process.stdout.write(`          ${JSON.stringify(rib.sizes())}\n`);
show("withdraw", feed(rib, sender, receiver, true));
show("again", feed(rib, sender, receiver, false));
const begin = performance.now();
let longestMs = 0;
rib.peerDown(sender, { retainStale: [] });
for (let more = true; more || rib.hasOutput(receiver); ) {
  const turn = performance.now();
  more = rib.work(4096);
  if (rib.hasOutput(receiver)) rib.drainOutput(receiver, WRITE_BYTES);
  longestMs = Math.max(longestMs, performance.now() - turn);
}
process.stdout.write(
  `drop      ${((performance.now() - begin) / 1000).toFixed(2)} s  ` +
    `longest turn ${longestMs.toFixed(1)} ms, left ${JSON.stringify(rib.sizes())}\n`,
);
