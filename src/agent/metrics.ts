/**
 * The metrics page. Names are kube-router's where it has the metric, with what they really measure
 * here in the help; the others begin with podrouter_. Everything is read from the parts when the
 * page is asked for: no counter is kept twice. docs/metrics.md lists them.
 */
import { setImmediate as nextTurn } from "node:timers/promises";
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import type { PeerStatus } from "../bgp/types.ts";
import type { ConditionStatus } from "./conditions.ts";
import type { PageBody } from "./http-endpoint.ts";
import { NO_LOOK_MS, replaceLoopLag } from "./loop-lag.ts";
import type { Md5Drops } from "./md5-drops.ts";
import { peerCounts, perPeer } from "./peer-metrics.ts";

/** Counts that the parts keep; all since the process started. */
export interface KernelCounts {
  readonly routesInstalled: number;
  readonly routesAdded: number;
  readonly routesReplaced: number;
  readonly routesRemoved: number;
  readonly routesFailed: number;
  /** Changes by others that were undone. */
  readonly routesForeign: number;
  readonly setMembersAdded: number;
  readonly setMembersRemoved: number;
  /** Nodes that are reached by a tunnel, both families. */
  readonly tunnels: number;
  readonly tunnelsMissing: number;
  readonly tunnelsRepaired: number;
  readonly tunnelsFailed: number;
  /** Times that packet rules which others had changed were put right. */
  readonly ruleRepairs: number;
}

export interface MetricsSource {
  readonly version: string;
  /** Of the configuration file that is in force; undefined without one. */
  configDigest(): string | undefined;
  peers(): Iterable<PeerStatus>;
  /** UPDATE messages of all peers that there are and were. */
  updates(): { readonly received: number; readonly sent: number };
  /** Prefixes and paths in the routing table. */
  ribSize(): { readonly prefixes: number; readonly paths: number };
  /** Connections from addresses that are no peer's. */
  refusedConnections(): number;
  /** Segments that the kernel dropped for their TCP MD5 signature; undefined = it does not say. */
  md5Drops(): Md5Drops | undefined;
  kernel(): KernelCounts;
  conditions(): readonly ConditionStatus[];
  ready(): boolean;
  logLinesDropped(): number;
}

const SECONDS_BUCKETS = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 30];

export class Metrics {
  readonly #registry = new Registry();
  readonly #peersSync: Histogram;
  readonly #setsSync: Histogram;
  readonly #nodeEvents: Histogram;
  readonly #source: MetricsSource;
  /** The page that is being made, and the peers as they were when it was asked for. */
  #making: Promise<PageBody> | undefined;
  #peers: readonly PeerStatus[] | undefined;

  constructor(source: MetricsSource) {
    this.#source = source;
    const registers = [this.#registry];
    collectDefaultMetrics({ register: this.#registry, eventLoopMonitoringPrecision: NO_LOOK_MS });
    replaceLoopLag(this.#registry);
    this.#peersSync = new Histogram({
      name: "kube_router_controller_bgp_internal_peers_sync_time",
      help: "Seconds to give the speaker the peers after a Node event",
      buckets: SECONDS_BUCKETS,
      registers,
    });
    this.#setsSync = new Histogram({
      name: "kube_router_controller_routes_sync_time",
      help: "Seconds to bring the ipsets to what the Nodes say (kube-router's name for it)",
      buckets: SECONDS_BUCKETS,
      registers,
    });
    this.#nodeEvents = new Histogram({
      name: "podrouter_node_event_seconds",
      help: "Seconds from the arrival of a Node event until every part was told of it",
      buckets: SECONDS_BUCKETS,
      registers,
    });
    addAgent(source, registers);
    addPeers(source, () => this.#peers ?? source.peers(), registers);
    addKernel(source, registers);
  }

  observePeersSync(seconds: number): void {
    this.#peersSync.observe(seconds);
  }

  observeSetsSync(seconds: number): void {
    this.#setsSync.observe(seconds);
  }

  observeNodeEvent(seconds: number): void {
    this.#nodeEvents.observe(seconds);
  }

  /**
   * The page in Prometheus's text format. Whoever asks while one is made gets that one: a hundred
   * requests in one packet would hold up everything else for ten seconds otherwise.
   */
  readonly page = (): Promise<PageBody> => {
    this.#making ??= this.#make().finally(() => {
      this.#making = undefined;
    });
    return this.#making;
  };

  /** One metric in a turn of the event loop: with a thousand peers all take some 100 ms. */
  async #make(): Promise<PageBody> {
    this.#peers = [...this.#source.peers()];
    try {
      const texts: string[] = [];
      for (const { name } of this.#registry.getMetricsAsArray()) {
        texts.push(await this.#registry.getSingleMetricAsString(name));
        await nextTurn();
      }
      const body = `${texts.join("\n\n")}\n`;
      return { status: 200, contentType: this.#registry.contentType, body };
    } finally {
      this.#peers = undefined;
    }
  }
}

type Registers = Registry[];
type Peers = () => Iterable<PeerStatus>;

/** A gauge without labels that is read when it is asked for. */
function gauge(registers: Registers, name: string, help: string, read: () => number): void {
  new Gauge({
    name,
    help,
    registers,
    collect() {
      this.set(read());
    },
  });
}

/** A counter without labels whose count somebody else keeps. */
function counter(registers: Registers, name: string, help: string, read: () => number): void {
  new Counter({
    name,
    help,
    registers,
    collect() {
      this.reset();
      this.inc(read());
    },
  });
}

function addAgent(source: MetricsSource, registers: Registers): void {
  new Gauge({
    name: "kube_router_build_info",
    help: "Always 1; the version of podrouter and of its runtime",
    labelNames: ["version", "nodeversion"],
    registers,
  }).set({ version: source.version, nodeversion: process.version }, 1);
  new Gauge({
    name: "podrouter_configuration_info",
    help: "Always 1; the content of the configuration file, as `podrouter status` names it",
    labelNames: ["digest"],
    registers,
    collect() {
      this.reset();
      const digest = source.configDigest();
      if (digest !== undefined) this.set({ digest }, 1);
    },
  });
  gauge(registers, "podrouter_ready", "1 when /readyz says ready", () => (source.ready() ? 1 : 0));
  new Gauge({
    name: "podrouter_conditions",
    help: "Conditions that stand, by source and severity",
    labelNames: ["source", "severity"],
    registers,
    collect() {
      this.reset();
      for (const { source: part, severity } of source.conditions()) {
        this.inc({ source: part, severity });
      }
    },
  });
  counter(
    registers,
    "podrouter_log_lines_dropped_total",
    "Lines of log that were dropped because nobody read them",
    () => source.logLinesDropped(),
  );
}

function addPeers(source: MetricsSource, peers: Peers, registers: Registers): void {
  peerCounts(registers, peers);
  perPeer(registers, peers, {
    name: "kube_router_bgp_peer_info",
    help: "Always 1; state of the session with a peer",
    labels: ["address", "type", "asn", "state"],
    set: (peer, put) =>
      put(
        {
          address: peer.address,
          type: peer.internal ? "internal" : "external",
          asn: peer.remoteAs ?? 0,
          state: peer.state,
        },
        1,
      ),
  });
  perPeer(registers, peers, {
    name: "podrouter_bgp_session_up",
    help: "1 when the session is established",
    labels: ["peer", "address"],
    set: (peer, put) => put(labelsOf(peer), peer.state === "Established" ? 1 : 0),
  });
  perPeer(registers, peers, {
    name: "podrouter_bgp_output_queue_bytes",
    help: "Bytes that wait for the peer to read them",
    labels: ["peer", "address"],
    set: (peer, put) => put(labelsOf(peer), peer.outputQueueBytes),
  });
  perPeer(registers, peers, {
    name: "podrouter_bgp_routes",
    help: "Routes received, accepted, advertised, oversized (too large to be), and stale",
    labels: ["peer", "address", "family", "kind"],
    set: (peer, put) => {
      for (const { family, received, accepted, advertised, oversized, stale } of peer.families) {
        const counts = { received, accepted, advertised, oversized, stale };
        for (const [kind, count] of Object.entries(counts)) {
          put({ ...labelsOf(peer), family: `ipv${family}`, kind }, count);
        }
      }
    },
  });
  addPeerCounters(source, peers, registers);
  addStrangers(source, registers);
  gauge(registers, "podrouter_rib_prefixes", "Prefixes in the routing table", () => {
    return source.ribSize().prefixes;
  });
  gauge(registers, "podrouter_rib_paths", "Paths in the routing table", () => {
    return source.ribSize().paths;
  });
}

function addPeerCounters(source: MetricsSource, peers: Peers, registers: Registers): void {
  counter(
    registers,
    "kube_router_controller_bgp_advertisements_received",
    "UPDATE messages received, of peers that are gone too",
    () => source.updates().received,
  );
  counter(
    registers,
    "kube_router_controller_bgp_advertisements_sent",
    "UPDATE messages sent, to peers that are gone too",
    () => source.updates().sent,
  );
  perPeer(registers, peers, {
    name: "podrouter_bgp_session_flaps_total",
    help: "Times that an established session ended",
    labels: ["peer", "address"],
    counter: true,
    set: (peer, put) => put(labelsOf(peer), peer.flaps),
  });
  perPeer(registers, peers, {
    name: "podrouter_bgp_messages_total",
    help: "BGP messages by direction and type",
    labels: ["peer", "address", "direction", "type"],
    counter: true,
    set: (peer, put) => {
      for (const direction of ["sent", "received"] as const) {
        const { open, update, notification, keepalive, routeRefresh } = peer[direction];
        const counts = { open, update, notification, keepalive, route_refresh: routeRefresh };
        for (const [type, count] of Object.entries(counts)) {
          put({ ...labelsOf(peer), direction, type }, count);
        }
      }
    },
  });
  perPeer(registers, peers, {
    name: "podrouter_bgp_refused_total",
    help: "Messages, attributes, prefixes and connections of a peer that were refused, by reason",
    labels: ["peer", "address", "reason"],
    counter: true,
    set: (peer, put) => {
      for (const [reason, count] of Object.entries(peer.errors)) {
        put({ ...labelsOf(peer), reason }, count);
      }
    },
  });
}

/** What nobody can be blamed for by name. */
function addStrangers(source: MetricsSource, registers: Registers): void {
  counter(
    registers,
    "podrouter_bgp_refused_connections_total",
    "Connections refused because their source is no peer",
    () => source.refusedConnections(),
  );
  new Counter({
    name: "podrouter_tcp_md5_dropped_total",
    help: "Segments dropped by the kernel for a TCP MD5 key that is wrong, missing or unexpected",
    labelNames: ["cause"],
    registers,
    collect() {
      this.reset();
      const drops = source.md5Drops();
      for (const [cause, count] of Object.entries(drops ?? {})) this.inc({ cause }, count);
    },
  });
}

function labelsOf(peer: PeerStatus): { peer: string; address: string } {
  return { peer: peer.name, address: peer.address };
}

type KernelRow = readonly [name: string, help: string, of: (counts: KernelCounts) => number];

const KERNEL_GAUGES: readonly KernelRow[] = [
  [
    "kube_router_host_routes_synced",
    "Routes of ours in the kernel",
    (counts) => counts.routesInstalled,
  ],
  [
    "podrouter_overlay_tunnels",
    "Nodes that are reached by a tunnel, IPv4 and IPv6 counted by themselves",
    (counts) => counts.tunnels,
  ],
  [
    "podrouter_overlay_tunnels_missing",
    "Nodes whose tunnel is not whole, or that need one and get none",
    (counts) => counts.tunnelsMissing,
  ],
];

const KERNEL_COUNTERS: readonly KernelRow[] = [
  [
    "podrouter_overlay_repairs_total",
    "Changes to tunnels after others had changed them",
    (counts) => counts.tunnelsRepaired,
  ],
  [
    "podrouter_overlay_failed_total",
    "Changes to tunnels that the kernel refused",
    (counts) => counts.tunnelsFailed,
  ],
  ["kube_router_host_routes_added", "Routes added", (counts) => counts.routesAdded],
  ["kube_router_host_routes_removed", "Routes removed", (counts) => counts.routesRemoved],
  ["podrouter_host_routes_replaced_total", "Routes replaced", (counts) => counts.routesReplaced],
  [
    "podrouter_host_routes_failed_total",
    "Route changes that the kernel refused",
    (counts) => counts.routesFailed,
  ],
  [
    "podrouter_host_routes_foreign_total",
    "Changes by others to routes of ours, or in their way",
    (counts) => counts.routesForeign,
  ],
  [
    "podrouter_ipset_members_added_total",
    "Members added to the ipsets",
    (counts) => counts.setMembersAdded,
  ],
  [
    "podrouter_ipset_members_removed_total",
    "Members removed from the ipsets",
    (counts) => counts.setMembersRemoved,
  ],
  [
    "podrouter_packet_rules_repaired_total",
    "Times that packet rules for pods, changed or flushed by others, were put right",
    (counts) => counts.ruleRepairs,
  ],
];

function addKernel(source: MetricsSource, registers: Registers): void {
  const read = (of: KernelRow[2]) => () => of(source.kernel());
  for (const [name, help, of] of KERNEL_GAUGES) gauge(registers, name, help, read(of));
  for (const [name, help, of] of KERNEL_COUNTERS) counter(registers, name, help, read(of));
}
