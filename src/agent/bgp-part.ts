/**
 * BGP's side of the agent: makes the speaker once it is known who we are, gives it each new plan,
 * and shows its best routes to the routes' controller as what is wanted in the kernel.
 */
import type { UpdateCounts } from "../bgp/speaker/update-totals.ts";
import { Speaker, type SpeakerServices } from "../bgp/speaker.ts";
import type {
  MissingPeer,
  OversizedRoutes,
  PeerStatus,
  RibPath,
  WithoutNextHop,
} from "../bgp/types.ts";
import { FAMILIES, type IpAddress, type IpFamily } from "../ip/address.ts";
import { type NextHopBatch, NO_NEXT_HOPS } from "../ip/next-hop-batch.ts";
import { hostPrefix, type Prefix } from "../ip/prefix.ts";
import type { DesiredRoutes } from "../routes/ports.ts";
import { someOf } from "../runtime/operator-text.ts";
import type { BgpSummary } from "./admin-protocol.ts";
import type { BgpPlanned } from "./bgp-plan.ts";
import type { Condition } from "./conditions.ts";
import type { PeersChange } from "./node-peers.ts";

/** A session that is not up this long after it was asked for, or lost, is a condition. */
const DOWN_MS = 20_000;
/** Peers named in one sentence. Beyond: counted. */
const NAMED_MAX = 5;
/** Sessions that are not up and have a condition each. Beyond: one condition counts them. */
const DOWN_NAMED_MAX = 20;

export interface BgpPartEvents {
  /**
   * Changed routes wait to be taken; only note that. Undefined = which ones is not to be known,
   * `onTableChange` is enough.
   */
  readonly onChangesWait: (() => void) | undefined;
  /** Some best routes changed. */
  readonly onTableChange: () => void;
  /** Every peer has told its table, or had its time to. */
  readonly onConverged: () => void;
}

export class BgpPart implements DesiredRoutes {
  readonly #deps: SpeakerServices;
  readonly #events: BgpPartEvents;
  #speaker: Speaker | undefined;
  #best: ReturnType<Speaker["bestInColumns"]> | undefined;
  /** Why there is no speaker, or nothing for it to do. */
  #idle: string | undefined = "the Nodes are not known yet";
  /** What of the configuration could not be used. */
  #problems: readonly string[] = [];
  #warnings: readonly Condition[] = [];
  /** When each peer was first seen down, by address; monotonic ms. */
  readonly #downSince = new Map<IpAddress, number>();
  #complete = false;

  constructor(deps: SpeakerServices, events: BgpPartEvents) {
    this.#deps = deps;
    this.#events = events;
  }

  /** Gives the speaker what it is to do from now on. */
  update(planned: BgpPlanned): void {
    if (!planned.ok) {
      this.#idle = planned.reason;
      this.#problems = planned.fault === true ? [`BGP does nothing: ${planned.reason}`] : [];
      this.#warnings = [];
      this.#speaker?.setPeers([]);
      this.#speaker?.originate([]);
      return;
    }
    this.#idle = undefined;
    this.#problems = planned.plan.problems;
    this.#warnings = planned.plan.warnings;
    const { speaker: config, peers, routes } = planned.plan;
    const known = this.#speaker;
    if (known !== undefined) {
      known.setConfig({ ...config, restarted: known.config.restarted });
      known.originate(routes);
      known.setPeers(peers);
      return;
    }
    const speaker = new Speaker(this.#deps, config);
    this.#speaker = speaker;
    const { onChangesWait, onTableChange } = this.#events;
    if (onChangesWait === undefined) speaker.onTableChange(onTableChange);
    this.#best = speaker.bestInColumns(onChangesWait);
    speaker.onConverged(() => this.#events.onConverged());
    speaker.originate(routes);
    speaker.setPeers(peers);
    speaker.start();
  }

  /** What changed of the peers since {@link update}, all else being as it was. */
  change({ put, gone }: PeersChange): void {
    this.#speaker?.changePeers(put, gone);
  }

  /**
   * What leads to peers and next hops may be different. `news`: it is, so that peers may be reached
   * again that could not be.
   */
  underlayChanged(news: boolean): void {
    this.#speaker?.underlayChanged();
    if (news) this.#speaker?.dialWaiting();
  }

  /** Next hops are reached otherwise through tunnels; no session goes through one. */
  waysChanged(nextHops: ReadonlySet<IpAddress> | "all"): void {
    if (nextHops === "all") this.#speaker?.underlayChanged();
    else this.#speaker?.nextHopsChanged(nextHops);
  }

  get changed(): number {
    return this.#best?.changed ?? 0;
  }

  takeChanged(into: NextHopBatch, max: number): void {
    this.#best?.takeChanged(into, max);
  }

  read(into: NextHopBatch): void {
    if (this.#best !== undefined) this.#best.read(into);
    else for (let i = 0; i < into.prefixes.count; i++) into.nextHops[i] = NO_NEXT_HOPS;
  }

  walk(into: NextHopBatch, from: number, max: number): number {
    return this.#best?.walk(into, from, max) ?? 0;
  }

  summary(): BgpSummary | undefined {
    if (this.#speaker === undefined || this.#idle !== undefined) return undefined;
    const { as, routerId } = this.#speaker.config;
    const peers = this.peers();
    const peersUp = peers.filter(({ state }) => state === "Established").length;
    return { as, routerId, peers: peers.length, peersUp };
  }

  peers(): readonly PeerStatus[] {
    return this.#speaker?.peers() ?? [];
  }

  paths(): Iterable<RibPath> {
    return this.#speaker?.ribPaths({ view: "loc" }) ?? [];
  }

  pathsOf(prefix: Prefix): Iterable<RibPath> {
    return this.#speaker?.ribPaths({ view: "loc", prefix }) ?? [];
  }

  /**
   * Paths of the longest prefix that covers the address and has a best path, and of longer ones,
   * none of which is used; where no prefix has one, of the longest.
   */
  pathsCovering(address: IpAddress): Iterable<RibPath> {
    // Of each prefix around the address, at most 129, shortest first; the best path before others.
    const covering = hostPrefix(address);
    const paths = [...(this.#speaker?.ribPaths({ view: "loc", covering }) ?? [])];
    const used = paths.findLastIndex(({ best }) => best);
    if (used !== -1) return paths.slice(used);
    const longest = paths.at(-1)?.prefix;
    return paths.filter((path) => path.prefix === longest);
  }

  /** What a peer told us before import, or what we told it. */
  exchanged(direction: "from" | "to", peer: IpAddress): Iterable<RibPath> {
    return this.#speaker?.ribPaths({ view: direction === "from" ? "in" : "out", peer }) ?? [];
  }

  sizes(): { readonly prefixes: number; readonly paths: number } {
    return this.#speaker?.tableSizes() ?? { prefixes: 0, paths: 0 };
  }

  /** UPDATE messages of all peers that there are and were. */
  updates(): UpdateCounts {
    return this.#speaker?.updates.counts() ?? { received: 0, sent: 0 };
  }

  /** Connections refused because their source is no peer. */
  get refusedConnections(): number {
    return this.#speaker?.refusedConnections ?? 0;
  }

  /**
   * Whether routes of an earlier run that no peer has told of are nobody's. `since`: when the peers
   * were all there, monotonic ms.
   */
  isComplete(since: number): boolean {
    // Asked at each change of a Node, and each peer is looked at until it is so.
    this.#complete ||= this.#speaker?.complete(since) ?? false;
    return this.#complete;
  }

  /** Why this node is not, or not wholly, part of BGP yet; undefined when it is. */
  notReady(): string | undefined {
    if (this.#idle !== undefined) return this.#idle;
    const deaf = this.#speaker?.listening().find((listener) => !listener.listening);
    if (deaf !== undefined) return deaf.problem ?? "not listening yet";
    if (this.#speaker?.converged() === true) return undefined;
    // Asked for each second, and the statuses of a thousand peers are 10 ms.
    return `no complete table yet from ${named(this.#speaker?.untold() ?? [])}`;
  }

  conditions(): readonly Condition[] {
    const found: Condition[] = this.#problems.map((message, index) => ({
      name: `configuration #${index + 1}`,
      severity: "error",
      message,
    }));
    found.push(...this.#warnings);
    for (const { address, port, problem } of this.#speaker?.listening() ?? []) {
      if (problem === undefined) continue;
      found.push({ name: `listen ${address} ${port}`, severity: "error", message: problem });
    }
    const shortage = this.#deps.transport.shortage?.();
    if (shortage !== undefined) {
      found.push({ name: "descriptors", severity: "error", message: shortage });
    }
    const now = this.#deps.clock.now();
    const troubles = this.#speaker?.troubles();
    const { missing = [], withoutNextHop = [], oversized = [] } = troubles ?? {};
    const addresses = new Set(missing.map((peer) => peer.address));
    for (const address of this.#downSince.keys()) {
      if (!addresses.has(address)) this.#downSince.delete(address);
    }
    const late: MissingPeer[] = [];
    for (const peer of missing) {
      const since = this.#downSince.get(peer.address) ?? now;
      this.#downSince.set(peer.address, since);
      if (peer.adminState === "prefix-limit") found.push(down(peer));
      else if (now - since >= DOWN_MS) late.push(peer);
    }
    found.push(...sessionsDown(late));
    found.push(...FAMILIES.flatMap((family) => lackingNextHop(family, withoutNextHop)));
    found.push(...oversizedRoutes(oversized));
    return found;
  }

  /** Ends the sessions; without `notify` peers with graceful restart keep our routes. */
  stop(options: { readonly notify: boolean }): void {
    this.#speaker?.stop(options);
  }
}

function named(peers: readonly string[]): string {
  return peers.length === 0 ? "anybody" : someOf(peers, NAMED_MAX);
}

function lackingNextHop(family: IpFamily, all: readonly WithoutNextHop[]): Condition[] {
  const peers = all.filter((peer) => peer.family === family);
  const why =
    `no IPv${family} address of ours is known for next hops, neither on the session's interface ` +
    "nor from the configuration";
  return ofPeers(`next hop IPv${family}`, peers, (to) => {
    return `IPv${family} routes are not announced to ${to}: ${why}`;
  });
}

function oversizedRoutes(peers: readonly OversizedRoutes[]): Condition[] {
  return ofPeers("oversized routes", peers, (to, { count, example, messageBytesMax }) => {
    const which = count === 1 ? `the route ${example} is` : `${count} routes, as ${example}, are`;
    const why = `no message of ${messageBytesMax} octets has room for the attributes`;
    return `${which} not announced to ${to}: ${why}`;
  });
}

/** A warning for each peer; one for all where a mesh is concerned, with the first as an example. */
function ofPeers<P extends { readonly name: string; readonly address: IpAddress }>(
  name: string,
  peers: readonly P[],
  message: (to: string, peer: P) => string,
): Condition[] {
  const [first] = peers;
  if (first !== undefined && peers.length > NAMED_MAX) {
    const to = named(peers.map((peer) => peer.name));
    return [{ name, severity: "warning", message: message(to, first) }];
  }
  return peers.map((peer) => ({
    name: `${name} ${peer.address}`,
    severity: "warning",
    message: message(titled(peer), peer),
  }));
}

/** A peer of the configuration file that was given no name has its address as one. */
function titled({ name, address }: { readonly name: string; readonly address: IpAddress }): string {
  return name === address ? address : `${name} (${address})`;
}

/** One for each peer; one for all where a node is cut off from a mesh, which is one trouble. */
function sessionsDown(peers: readonly MissingPeer[]): Condition[] {
  if (peers.length <= DOWN_NAMED_MAX) return peers.map(down);
  const to = named(peers.map(({ name }) => name));
  const message = `${peers.length} sessions are not up: with ${to}`;
  return [{ name: "sessions", severity: "warning", message }];
}

function down(peer: MissingPeer): Condition {
  const limit = peer.adminState === "prefix-limit" ? ": it announced too many prefixes" : "";
  return {
    name: `session ${peer.address}`,
    severity: "warning",
    message: `the session with ${titled(peer)} is not up${limit}`,
  };
}
