/** Speakers on a network in memory, with the settings of a node peering unless told otherwise. */
import { LAST_RESORT } from "../../src/bgp/rib/next-hop-table.ts";
import { Speaker } from "../../src/bgp/speaker.ts";
import type {
  OriginatedRoute,
  PeerConfig,
  PeerStatus,
  SpeakerConfig,
} from "../../src/bgp/types.ts";
import type { IpAddress } from "../../src/ip/address.ts";
import { prefix } from "../../src/ip/prefix.ts";
import type { Log } from "../../src/runtime/log.ts";
import { silentLog } from "../../src/runtime/log.ts";
import { address as ip } from "./address.ts";
import { FakeClock } from "./fake-clock.ts";
import { type MemoryHost, MemoryNetwork, type MemoryNetworkOptions } from "./memory-network.ts";

export { address as ip } from "./address.ts";

/** A random source that can be replayed (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

export function speakerConfig(
  address: IpAddress,
  changes: Partial<SpeakerConfig> = {},
): SpeakerConfig {
  return {
    as: 64512,
    routerId: address,
    hostName: "node",
    domainName: "",
    listen: [{ address, port: 179 }],
    dialsNeedPort: false,
    clusterId: undefined,
    restarted: false,
    deferralSeconds: 10,
    maximumPaths: 1,
    ...changes,
  };
}

/** A peer as kube-router's settings make it: internal, IPv4, graceful restart of 90 s. */
export function peerConfig(
  localAddress: IpAddress,
  address: IpAddress,
  changes: Partial<PeerConfig> = {},
): PeerConfig {
  return {
    name: `peer ${address}`,
    address,
    port: 179,
    remoteAs: 64512,
    localAs: undefined,
    localAddress,
    nextHops: [],
    nextHopsByLink: false,
    passive: false,
    holdSeconds: 90,
    families: [4],
    gracefulRestart: { restartSeconds: 90, notification: false, longLivedSeconds: undefined },
    enhancedRouteRefresh: false,
    extendedMessage: false,
    addPath: "none",
    password: undefined,
    ttlSecurity: false,
    multihopTtl: 1,
    bindInterface: undefined,
    routeReflectorClient: false,
    nextHopSelf: false,
    importPolicy: undefined,
    exportPolicy: undefined,
    maximumPrefixes: undefined,
    shutdown: undefined,
    ...changes,
  };
}

export function route(text: string, nextHop: IpAddress): OriginatedRoute {
  return { prefix: prefix(text), nextHop, communities: [], med: undefined };
}

/** A world of speakers; `log` lines of all go to one place. */
export class World {
  readonly clock = new FakeClock();
  readonly network: MemoryNetwork;
  readonly random: () => number;
  readonly log: Log;

  constructor(options: MemoryNetworkOptions & { seed?: number; log?: Log } = {}) {
    this.network = new MemoryNetwork(this.clock, options);
    this.random = seededRandom(options.seed ?? 1);
    this.log = options.log ?? silentLog;
  }

  node(text: string, changes: Partial<SpeakerConfig> = {}): TestNode {
    return new TestNode(this, ip(text), changes);
  }

  /** Moves time on until the condition holds; the ms it took. */
  until(condition: () => boolean, what: string, maxMs = 30_000): number {
    const start = this.clock.now();
    while (!condition()) {
      if (this.clock.now() - start > maxMs) throw new Error(`waited in vain for ${what}`);
      this.clock.advance(Math.min(10, Math.max(1, this.clock.nextDelayMs ?? 1)));
    }
    return this.clock.now() - start;
  }

  advance(ms: number): void {
    this.clock.advance(ms);
  }
}

/** One machine with one speaker. */
export class TestNode {
  readonly world: World;
  readonly address: IpAddress;
  host: MemoryHost;
  speaker: Speaker;
  /** No interface leads to these or carries them; the speaker is not told of changes. */
  readonly unreachable = new Set<IpAddress>();

  constructor(world: World, address: IpAddress, changes: Partial<SpeakerConfig>) {
    this.world = world;
    this.address = address;
    this.host = world.network.host(address);
    this.speaker = this.make(changes);
  }

  make(changes: Partial<SpeakerConfig>): Speaker {
    const { clock, random, log } = this.world;
    const leadsTo = (other: IpAddress) => !this.unreachable.has(other);
    const nextHopMetric = (nextHop: IpAddress) => (leadsTo(nextHop) ? 0 : LAST_RESORT);
    const carries = (own: IpAddress) => !this.unreachable.has(own);
    const underlay = { leadsTo, carries, nextHopMetric };
    const services = { clock, random, log, transport: this.host, underlay };
    return new Speaker(services, speakerConfig(this.address, changes));
  }

  /** A new process on the same machine, which still has its network. */
  restart(changes: Partial<SpeakerConfig>): Speaker {
    this.speaker = this.make(changes);
    return this.speaker;
  }

  /** A new process after a power loss: old connections are unknown here. */
  reboot(changes: Partial<SpeakerConfig>): Speaker {
    this.host = this.world.network.host(this.address);
    return this.restart(changes);
  }

  peers(others: readonly TestNode[], changes: Partial<PeerConfig> = {}): this {
    this.speaker.setPeers(others.map((other) => this.peerTo(other, changes)));
    return this;
  }

  peerTo(other: TestNode, changes: Partial<PeerConfig> = {}): PeerConfig {
    return peerConfig(this.address, other.address, changes);
  }

  originate(...texts: string[]): this {
    this.speaker.originate(texts.map((text) => route(text, this.address)));
    return this;
  }

  status(other: TestNode): PeerStatus {
    const status = this.speaker.peer(other.address);
    if (status === undefined) throw new Error(`${other.address} is no peer of ${this.address}`);
    return status;
  }

  isUp(other: TestNode): boolean {
    return this.speaker.peer(other.address)?.state === "Established";
  }

  /** Learned routes: `10.0.0.0/24 via 192.0.2.1`, with ` stale` behind stale ones; sorted. */
  routes(): string[] {
    return [...this.speaker.bestRoutes()]
      .filter(({ nextHops }) => nextHops.length > 0)
      .map((best) => `${best.prefix} via ${best.nextHops.join(",")}${best.stale ? " stale" : ""}`)
      .sort();
  }
}
