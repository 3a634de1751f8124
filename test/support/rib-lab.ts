/**
 * A RIB with peers whose UPDATEs really pass the codec in both directions: what a test sends is
 * encoded and decoded, and what the RIB sends is decoded into the view that the receiver then has.
 */
import assert from "node:assert/strict";
import type {
  NegotiatedSession,
  PathAttributes,
  RouteFamily,
} from "../../src/bgp/message/types.ts";
import { SegmentType } from "../../src/bgp/message/types.ts";
import type { DecodedUpdate } from "../../src/bgp/message/update.ts";
import { UpdateDecoder } from "../../src/bgp/message/update-decoder.ts";
import type { GroupLimits } from "../../src/bgp/rib/limits.ts";
import type { Policy } from "../../src/bgp/rib/policy-types.ts";
import type { PrefixLimitState } from "../../src/bgp/rib/prefix-limit-state.ts";
import { Rib } from "../../src/bgp/rib/rib.ts";
import type { RibPeer } from "../../src/bgp/rib/rib-peer.ts";
import { prefix, prefixFamily } from "../../src/ip/prefix.ts";
import { PrefixBatch, pushPrefix } from "../../src/ip/prefix-batch.ts";
import { address } from "./address.ts";
import { negotiatedSession } from "./negotiated-session.ts";
import { PLAIN_ATTRIBUTES } from "./plain-attributes.ts";

export { address } from "./address.ts";

export const LOCAL_AS = 64512;
export const ROUTER_ID = 0x0a00_0001;

/** Accepts everything as it is: what an external peer needs (RFC 8212). */
export const ACCEPT_ALL: Policy = { name: "all", statements: [], defaultResult: "accept" };

/** What two OPENs could have agreed on. */
export function session(changes: Partial<NegotiatedSession> = {}): NegotiatedSession {
  return negotiatedSession({ remoteAs: LOCAL_AS, remoteRouterId: 1, ...changes });
}

/** The attributes of a route in a test; `path` is one AS_SEQUENCE. */
export function route(
  changes: Partial<PathAttributes> & { readonly path?: readonly number[] } = {},
): PathAttributes {
  const { path, ...rest } = changes;
  const asPath =
    path === undefined || path.length === 0 ? [] : [{ type: SegmentType.sequence, asns: path }];
  return { ...PLAIN_ATTRIBUTES, asPath, nextHop: address("192.0.2.1"), ...rest };
}

/** Prefixes as a batch; `10.0.0.0/8#7` has path identifier 7. All of one family. */
export function batchOf(prefixes: readonly string[], family?: RouteFamily): PrefixBatch {
  const batch = new PrefixBatch();
  const texts = prefixes.map((text) => text.split("#"));
  batch.reset(family ?? (texts.length === 0 ? 4 : prefixFamily(prefix(texts[0]![0]!))));
  for (const [text, id] of texts) pushPrefix(batch, prefix(text!), Number(id ?? 0));
  return batch;
}

/** A decoded UPDATE made by hand. */
export function updateOf(parts: {
  readonly withdraw?: readonly string[];
  readonly announce?: readonly string[];
  readonly attributes?: PathAttributes;
  readonly treatment?: DecodedUpdate["treatment"];
}): DecodedUpdate {
  const announced = parts.announce ?? [];
  const withdrawn = parts.withdraw ?? [];
  const v4 = (texts: readonly string[]) => texts.filter((text) => !text.includes(":"));
  const v6 = (texts: readonly string[]) => texts.filter((text) => text.includes(":"));
  return {
    withdrawn: batchOf(v4(withdrawn), 4),
    announced: batchOf(v4(announced), 4),
    mpUnreach: batchOf(v6(withdrawn), 6),
    mpReach: batchOf(v6(announced), 6),
    attributes: parts.attributes,
    mpAttributes: parts.attributes,
    endOfRib: undefined,
    treatment: parts.treatment ?? "none",
    errors: [],
    attributesStart: 0,
    attributesEnd: 0,
  };
}

/** How a peer of the lab differs from an internal one for IPv4. */
export interface LabPeerOptions extends Partial<Omit<RibPeer, "address" | "negotiated">> {
  readonly session?: Partial<NegotiatedSession>;
}

/** One thing that the peer received. */
export interface Received {
  readonly announced: readonly string[];
  readonly withdrawn: readonly string[];
  readonly attributes: PathAttributes | undefined;
  readonly endOfRib: RouteFamily | undefined;
  /** Subtype of a ROUTE-REFRESH. */
  readonly refresh: number | undefined;
}

/** A peer of the RIB under test, with what it holds after all that it was sent. */
export class LabPeer {
  readonly lab: RibLab;
  config: RibPeer;
  id = -1;
  isUp = false;
  /** What it holds, by `prefix` or `prefix#id`. */
  readonly view = new Map<string, PathAttributes>();
  /** Withdrawals of what it did not hold: must stay empty but where the RIB may not know. */
  readonly needless: string[] = [];
  /** How often it was told that there is output. */
  readyCount = 0;
  private decoder: UpdateDecoder;

  constructor(lab: RibLab, text: string, options: LabPeerOptions) {
    this.lab = lab;
    const own = { remoteAs: options.remoteAs ?? LOCAL_AS };
    const internal = own.remoteAs === LOCAL_AS;
    const remoteRouterId = options.remoteRouterId ?? hashText(text);
    const { session: changes, ...rest } = options;
    this.config = {
      name: text,
      address: address(text),
      internal,
      remoteRouterId,
      localAs: LOCAL_AS,
      routeReflectorClient: false,
      nextHopSelf: false,
      nextHops: [address("10.0.0.1"), address("2001:db8::1")],
      importPolicy: internal ? undefined : ACCEPT_ALL,
      exportPolicy: internal ? undefined : ACCEPT_ALL,
      maximumPrefixes: undefined,
      ...own,
      ...rest,
      negotiated: session({ ...own, internal, remoteRouterId, ...changes }),
    };
    this.decoder = this.makeDecoder();
  }

  up(): this {
    this.view.clear();
    this.decoder = this.makeDecoder();
    this.readyCount = 0;
    this.id = this.lab.rib.peerUp(this.config);
    this.isUp = true;
    this.lab.byId.set(this.id, this);
    if (this.lab.readyEarly.delete(this.id)) this.readyCount++;
    return this;
  }

  down(retainStale: readonly RouteFamily[] = []): void {
    this.isUp = false;
    this.lab.rib.peerDown(this.id, { retainStale });
    this.lab.settle();
  }

  announce(prefixes: readonly string[], attributes: PathAttributes = route()): PrefixLimitState {
    return this.lab.rib.update(this.id, updateOf({ announce: prefixes, attributes }));
  }

  withdraw(prefixes: readonly string[]): PrefixLimitState {
    return this.lab.rib.update(this.id, updateOf({ withdraw: prefixes }));
  }

  /** An UPDATE with attributes so wrong that its prefixes count as withdrawn. */
  treatAsWithdraw(prefixes: readonly string[]): PrefixLimitState {
    return this.lab.rib.update(this.id, updateOf({ announce: prefixes, treatment: "withdraw" }));
  }

  /** Reads all output of the RIB into the view. */
  receive(bytesMax = 65536): Received[] {
    const result: Received[] = [];
    for (let calls = 0; this.lab.rib.hasOutput(this.id); calls++) {
      assert(calls < 10_000, "output comes to an end");
      this.readyCount = 0;
      for (const bytes of this.lab.rib.drainOutput(this.id, bytesMax)) this.read(bytes, result);
    }
    return result;
  }

  /** One call of `drainOutput`, read into the view. */
  receiveSome(bytesMax: number): Received[] {
    const result: Received[] = [];
    if (!this.lab.rib.hasOutput(this.id)) return result;
    for (const bytes of this.lab.rib.drainOutput(this.id, bytesMax)) this.read(bytes, result);
    if (!this.lab.rib.hasOutput(this.id)) this.readyCount = 0;
    return result;
  }

  /** What it holds, as sorted text. */
  held(): string[] {
    return [...this.view].map(([key, value]) => `${key} ${describe(value)}`).sort();
  }

  /** The same without path identifiers. */
  heldByPrefix(): string[] {
    return [...this.view].map(([key, value]) => `${key.split("#")[0]} ${describe(value)}`).sort();
  }

  private makeDecoder(): UpdateDecoder {
    const { negotiated } = this.config;
    // The receiver's side of the session: what we send with path identifiers, it receives so.
    const mirrored = {
      ...negotiated,
      remoteAs: this.config.localAs,
      addPathReceive: negotiated.addPathSend,
    };
    return new UpdateDecoder(mirrored);
  }

  private read(bytes: Uint8Array, into: Received[]): void {
    for (let at = 0; at < bytes.length; ) {
      const length = (bytes[at + 16]! << 8) | bytes[at + 17]!;
      assert(length >= 19 && at + length <= bytes.length, "whole messages");
      if (bytes[at + 18] === 5) {
        into.push({ ...NOTHING, refresh: bytes[at + 21] });
      } else into.push(this.apply(this.decoder.decode(bytes, at + 19, at + length)));
      at += length;
    }
  }

  private apply(update: ReturnType<UpdateDecoder["decode"]>): Received {
    assert("treatment" in update, "a message that decodes");
    assert.deepEqual(update.errors, []);
    const withdrawn = [...keys(update.withdrawn), ...keys(update.mpUnreach)];
    const announced = [...keys(update.announced), ...keys(update.mpReach)];
    const attributes = update.attributes ?? update.mpAttributes;
    for (const key of withdrawn) if (!this.view.delete(key)) this.needless.push(key);
    for (const key of announced) this.view.set(key, attributes!);
    return { ...NOTHING, announced, withdrawn, attributes, endOfRib: update.endOfRib };
  }
}

const NOTHING: Received = {
  announced: [],
  withdrawn: [],
  attributes: undefined,
  endOfRib: undefined,
  refresh: undefined,
};

export interface LabOptions {
  readonly maximumPaths?: number;
  /** Somebody wants to know of changed best routes. */
  readonly consumer?: boolean;
  readonly groupLimits?: GroupLimits;
  readonly workAtOnce?: number;
}

/** The RIB under test and its peers. */
export class RibLab {
  readonly rib: Rib;
  readonly byId = new Map<number, LabPeer>();
  /** Told ready inside `peerUp`, before the number was known. */
  readonly readyEarly = new Set<number>();
  bestDirty = 0;
  workCount = 0;
  now = 1_000_000;

  constructor(options: LabOptions = {}) {
    this.rib = new Rib({
      localAs: LOCAL_AS,
      routerId: ROUTER_ID,
      clusterId: ROUTER_ID,
      maximumPaths: options.maximumPaths ?? 1,
      now: () => this.now,
      hashSeed: 12345,
      onOutputReady: (id) => {
        const peer = this.byId.get(id);
        // The number may have been another's, and the peer not know yet that it has it.
        if (peer?.isUp !== true || peer.id !== id) this.readyEarly.add(id);
        else peer.readyCount++;
      },
      onWork: () => this.workCount++,
      ...(options.groupLimits === undefined ? {} : { groupLimits: options.groupLimits }),
      ...(options.workAtOnce === undefined ? {} : { workAtOnce: options.workAtOnce }),
      ...(options.consumer === true ? { onBestDirty: () => this.bestDirty++ } : {}),
    });
    if (options.consumer === true) this.rib.listBestChanges();
  }

  peer(text: string, options: LabPeerOptions = {}): LabPeer {
    return new LabPeer(this, text, options);
  }

  /** Does all postponed work. */
  settle(): void {
    while (this.rib.work(1000)) {}
  }
}

export function keys(batch: PrefixBatch): string[] {
  const result: string[] = [];
  for (let i = 0; i < batch.count; i++) {
    const id = batch.pathId[i]!;
    result.push(id === 0 ? batch.prefixAt(i) : `${batch.prefixAt(i)}#${id}`);
  }
  return result;
}

/** All of a set of attributes as text, to compare. */
export function describe(a: PathAttributes): string {
  const path = a.asPath.map((s) => `${s.type}:${s.asns.join(" ")}`).join(",");
  return JSON.stringify({
    ...a,
    asPath: path,
    opaque: a.opaque.map((o) => [o.type, o.flags, [...o.value]]),
  });
}

function hashText(text: string): number {
  let hash = 7;
  for (const char of text) hash = (Math.imul(hash, 31) + char.charCodeAt(0)) >>> 0;
  return hash;
}
