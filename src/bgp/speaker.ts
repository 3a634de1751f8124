/**
 * A BGP speaker: the public face of this folder.
 *
 * ```ts
 * const services = { clock: systemClock, random: Math.random, log: silentLog };
 * const speaker = new Speaker({ ...services, transport: new TcpTransport() }, config);
 * speaker.onBestChange((routes) => install(routes));
 * speaker.originate(ownRoutes);
 * speaker.setPeers(peers);
 * speaker.start();
 * ```
 *
 * Inputs are whole desired sets; the speaker applies the difference, and nothing needs a restart
 * to change. Answers are snapshots, built when asked for. Listeners are called from the event loop,
 * never from inside a call, and hear in one go what changed in between.
 */
import type { IpAddress } from "../ip/address.ts";
import type { Prefix } from "../ip/prefix.ts";
import type { Clock, Random } from "../runtime/clock.ts";
import type { Log } from "../runtime/log.ts";
import type { PeerId } from "./rib/peer-table.ts";
import { Rib } from "./rib/rib.ts";
import type { PathQuery } from "./rib/rib-view.ts";
import { type SessionServices, sessionServices } from "./session/peer-session.ts";
import type { Acceptance, Connection, Transport } from "./session/transport.ts";
import { WorkQueue } from "./session/work-queue.ts";
import { Convergence } from "./speaker/convergence.ts";
import { dialDelayMs } from "./speaker/dial-delay.ts";
import {
  administrativeReset,
  administrativeShutdown,
  closeSilently,
  configurationChanged,
  peerDeconfigured,
} from "./speaker/end-orders.ts";
import { holdDials } from "./speaker/held-dials.ts";
import { PEERS_MAX, RESET_DELAY_MS } from "./speaker/limits.ts";
import { Listeners, type ListenStatus } from "./speaker/listeners.ts";
import { globalsOf } from "./speaker/local-side.ts";
import { Peer } from "./speaker/peer.ts";
import { byAddress, passwordsOf, peerChange } from "./speaker/peer-change.ts";
import { PeerChanges, type PeerListener } from "./speaker/peer-changes.ts";
import type { PeerHost } from "./speaker/peer-host.ts";
import { PeerMemory } from "./speaker/peer-memory.ts";
import { peerStatus, peerStatuses, peerTroubles } from "./speaker/peer-status.ts";
import { BestChanges, RibWork } from "./speaker/rib-tasks.ts";
import { NO_UNDERLAY, type Underlay } from "./speaker/underlay.ts";
import { UpdateTotals } from "./speaker/update-totals.ts";
import type {
  BestRoute,
  OriginatedRoute,
  PeerConfig,
  PeerStatus,
  RibPath,
  SpeakerConfig,
} from "./types.ts";

export type { ListenStatus, PathQuery as RibQuery };

export interface SpeakerServices {
  readonly clock: Clock;
  readonly random: Random;
  readonly transport: Transport;
  readonly log: Log;
  /** None unless given. */
  readonly underlay?: Underlay;
}

export class Speaker {
  /** Connections of unknown sources, refused before any state was made. */
  refusedConnections = 0;
  /** UPDATE messages of all peers, those that are gone included. */
  readonly updates = new UpdateTotals(() => this.#peers.values());
  readonly #services: SessionServices;
  readonly #rib: Rib;
  readonly #host: PeerHost;
  #config: SpeakerConfig;
  readonly #work: WorkQueue;
  readonly #listeners: Listeners;
  readonly #peers = new Map<IpAddress, Peer>();
  readonly #byRibId = new Map<PeerId, Peer>();
  readonly #best: BestChanges;
  readonly #changes: PeerChanges;
  readonly #convergence: Convergence;
  #running = false;

  constructor(services: SpeakerServices, config: SpeakerConfig) {
    const { clock, random, transport } = services;
    this.#config = config;
    this.#work = new WorkQueue(clock, transport);
    this.#changes = new PeerChanges(this.#work, () => this.#running);
    const held = holdDials(transport, (dial) =>
      this.#config.dialsNeedPort ? this.#listeners.takenFrom(dial) : undefined,
    );
    this.#services = sessionServices({ ...services, transport: held }, this.#work);
    this.#rib = new Rib({
      ...globalsOf(config),
      now: () => this.#work.wall(),
      hashSeed: Math.floor(random() * 2 ** 32),
      onOutputReady: (id) => this.#byRibId.get(id)?.outputReady(),
      onBestDirty: () => this.#best.dirty(this.#work),
      onWork: () => this.#work.schedule(ribWork),
      onPeerGone: (id) => this.#byRibId.get(id)?.bind(undefined),
    });
    const { underlay = NO_UNDERLAY } = services;
    this.#rib.setNextHopMetric((nextHop) => underlay.nextHopMetric(nextHop));
    const ribWork = new RibWork(this.#rib, clock);
    this.#best = new BestChanges(this.#rib, clock, () => this.#running);
    this.#convergence = new Convergence(clock, this.#work, {
      config: () => this.#config,
      peers: () => this.#peers.values(),
      released: () => {
        for (const peer of this.#byRibId.values()) peer.releaseOutput();
      },
      converged: () => this.#best.flush(),
    });
    this.#host = this.#peerHost(underlay);
    this.#listeners = new Listeners(services, {
      accepted: (connection) => this.#accept(connection),
      changed: () => this.#changes.noteListener(),
      freed: () => this.dialWaiting(),
    });
  }

  get config(): SpeakerConfig {
    return this.#config;
  }

  /** Dials and listens, last: who connects at once finds peers that are ready for it. */
  start(): void {
    if (this.#running) return;
    this.#running = true;
    this.#convergence.start();
    for (const peer of this.#peers.values()) peer.start(this.#startDelay(peer));
    this.#listen();
    this.#best.started(this.#work);
    this.#convergence.awaitPeers();
  }

  /**
   * Ends all sessions. `notify` tells the peers (Cease / Administrative Shutdown): they forget our
   * routes; without it those with graceful restart keep them for a while. From here on no listener
   * is called: what the sessions leave behind is no news for a kernel that shall go on forwarding.
   */
  stop(options: { readonly notify: boolean }): void {
    this.#running = false;
    this.#convergence.stop();
    this.#listeners.close();
    const order = options.notify ? administrativeShutdown("") : closeSilently;
    for (const peer of this.#peers.values()) peer.end(order);
    this.#services.lines.flush();
  }

  /**
   * Wants exactly these peers. Who is not in the list any more is told so, and its routes go at
   * once; a change resets a session only where it must. Of two with one address the first counts.
   */
  setPeers(configs: readonly PeerConfig[]): void {
    const wanted = new Set(configs.map(({ address }) => address));
    const gone = [...this.#peers.keys()].filter((address) => !wanted.has(address));
    this.changePeers(configs, gone);
  }

  /** {@link setPeers} for the cost of what changes: all who are not named here stay as they are. */
  changePeers(configs: readonly PeerConfig[], gone: readonly IpAddress[]): void {
    const leftOut = (peer: string) => this.#services.log.error({ peer }, "peer left out");
    const wanted = byAddress(configs, leftOut);
    const touched = [...gone, ...wanted.keys()].flatMap((one) => this.#peers.get(one) ?? []);
    const keyed = [...touched.map(({ config }) => config), ...wanted.values()];
    for (const peer of touched) if (!wanted.has(peer.address)) this.#remove(peer);
    const fresh: Peer[] = [];
    const changed: [Peer, PeerConfig][] = [];
    for (const [address, config] of wanted) {
      const known = this.#peers.get(address);
      if (known !== undefined) changed.push([known, config]);
      else if (this.#peers.size + fresh.length >= PEERS_MAX) leftOut(config.name);
      else fresh.push(new Peer(config, this.#host));
    }
    for (const peer of fresh) this.#peers.set(peer.address, peer);
    // Keys stand before the first connection that needs them.
    if (keyed.some(({ password }) => password !== undefined)) this.#listen(wanted);
    for (const [peer, config] of changed) this.#change(peer, config);
    for (const peer of fresh) {
      if (this.#running) peer.start(this.#startDelay(peer, fresh.length));
      this.#noteChange(peer);
    }
    this.#convergence.peersTold();
  }

  /** Changes global settings; a new AS or identifier resets all sessions. */
  setConfig(config: SpeakerConfig): void {
    const before = this.#config;
    this.#config = config;
    this.#rib.setGlobals(globalsOf(config));
    this.#listen();
    if (config.as === before.as && config.routerId === before.routerId) return;
    // Also before the start: each peer knows by itself who we are to it.
    for (const peer of this.#peers.values()) {
      peer.reset(configurationChanged, RESET_DELAY_MS + this.#startDelay(peer));
    }
  }

  /** Originates exactly these routes. */
  originate(routes: readonly OriginatedRoute[]): void {
    this.#rib.originate(routes);
  }

  /** All peers in the order of their addresses. */
  peers(): readonly PeerStatus[] {
    return peerStatuses(this.#peers.values(), this.#rib);
  }

  troubles(): ReturnType<typeof peerTroubles> {
    return peerTroubles(this.#changes.notUp, this.#byRibId, this.#rib);
  }

  peer(address: IpAddress): PeerStatus | undefined {
    const peer = this.#peers.get(address);
    return peer === undefined ? undefined : peerStatus(peer, this.#rib);
  }

  /** Paths in listing order; to be read before anything else happens. */
  ribPaths(query: PathQuery): Iterable<RibPath> {
    return this.#rib.paths(query);
  }

  /** The best route of exactly this prefix. */
  lookup(prefix: Prefix): BestRoute | undefined {
    return this.#rib.lookupBest(prefix);
  }

  /** All best routes, in no order; to be read before anything else happens. */
  bestRoutes(): Iterable<BestRoute> {
    return this.#rib.best();
  }

  /** Sizes of the tables, for metrics. */
  tableSizes(): ReturnType<Rib["sizes"]> {
    return this.#rib.sizes();
  }

  /** Interfaces, addresses or routes of the machine are others: see {@link Underlay}. */
  underlayChanged(): void {
    this.#rib.nextHopsChanged();
    for (const peer of this.#peers.values()) peer.underlayChanged();
  }

  /** Nothing of them is but what these next hops cost. */
  nextHopsChanged(nextHops: Iterable<IpAddress>): void {
    this.#rib.nextHopsChanged(nextHops);
  }

  /** Listeners, with what keeps one from standing. */
  listening(): readonly ListenStatus[] {
    return this.#listeners.status();
  }

  /** Whether all peers have told their tables since the start, or had their time to come up. */
  converged(): boolean {
    return this.#convergence.converged;
  }

  /** Whether what an earlier run left is nobody's: peers have their time from `since` (ms) on. */
  complete(since?: number): boolean {
    return this.#convergence.complete(since);
  }

  /** Names of the peers that have not told their whole table. */
  untold(): readonly string[] {
    return this.#convergence.untold();
  }

  /** Best routes that changed; gives what removes the listener. */
  onBestChange(listener: (routes: readonly BestRoute[]) => void): () => void {
    return this.#best.listen(listener);
  }

  /** Best routes in columns; with `onWaiting` changed ones too, see {@link BestChanges.leave}. */
  bestInColumns(onWaiting?: () => void): Rib["nextHops"] {
    if (onWaiting !== undefined) this.#best.leave(onWaiting);
    return this.#rib.nextHops;
  }

  /** Some best route changed; unlike `onBestChange` it costs nothing for each. */
  onTableChange(listener: () => void): () => void {
    return this.#best.watch(listener);
  }

  /** Peers whose state changed, or (empty) only that of a listener. */
  onPeerChange(listener: PeerListener): () => void {
    return this.#changes.listen(listener);
  }

  /** Once a start, when `converged` becomes true; all best routes have been told by then. */
  onConverged(listener: () => void): () => void {
    return this.#convergence.listen(listener);
  }

  /** Asks the peer to send everything again. False: unknown, not up, or it cannot. */
  routeRefresh(address: IpAddress): boolean {
    return this.#peers.get(address)?.refresh.request() ?? false;
  }

  /** "hard" ends the session and begins anew; "soft" sends and asks for everything again. */
  resetPeer(address: IpAddress, kind: "soft" | "hard"): boolean {
    const peer = this.#peers.get(address);
    if (peer === undefined) return false;
    if (kind === "hard") {
      peer.reset(administrativeReset, RESET_DELAY_MS);
      return true;
    }
    peer.refresh.request();
    return peer.refresh.resend();
  }

  /** Dials those who wait for their next dial, spread as at the start: they may be reached now. */
  dialWaiting(): void {
    for (const peer of this.#peers.values()) peer.dialSoon(this.#startDelay(peer));
  }

  /** What the peers see of the speaker. */
  #peerHost(underlay: Underlay): PeerHost {
    return {
      services: this.#services,
      rib: this.#rib,
      memory: new PeerMemory(),
      underlay,
      config: () => this.#config,
      running: () => this.#running,
      deferring: () => this.#convergence.deferring,
      restartedWithin: (ms) => this.#convergence.restartedWithin(ms),
      bind: (peer, before, id) => {
        if (before !== undefined) this.#byRibId.delete(before);
        if (id !== undefined) this.#byRibId.set(id, peer);
      },
      changed: (peer) => this.#noteChange(peer),
      progressed: () => this.#convergence.progressed(),
    };
  }

  #noteChange(peer: Peer): void {
    this.#changes.note(peer, this.#peers.get(peer.address) === peer);
  }

  #accept(connection: Connection): Acceptance | undefined {
    const peer = this.#peers.get(connection.remoteAddress);
    if (peer !== undefined && this.#running) return peer.session.accept(connection);
    this.refusedConnections++;
    this.#services.log.debug({ address: connection.remoteAddress }, "unknown source refused");
    return undefined;
  }

  /** `next`: configurations that peers are about to get. */
  #listen(next: ReadonlyMap<IpAddress, PeerConfig> = new Map()): void {
    const configs = [...this.#peers.values()].map((peer) => next.get(peer.address) ?? peer.config);
    if (this.#running) this.#listeners.set(this.#config.listen, passwordsOf(configs));
  }

  #remove(peer: Peer): void {
    this.#peers.delete(peer.address);
    peer.end(peerDeconfigured);
    this.updates.leave(peer);
    this.#noteChange(peer);
  }

  #change(peer: Peer, config: PeerConfig): void {
    const change = peerChange(peer.config, config);
    if (change === "none") peer.adopt(config);
    else peer.reconfigure(config);
    if (change === "reset" && this.#running) peer.reset(configurationChanged, RESET_DELAY_MS);
    if (change !== "none") this.#noteChange(peer);
  }

  #startDelay(peer: Peer, dials = this.#peers.size): number {
    return dialDelayMs(peer.config, peer.local.routerId, dials, this.#services.random);
  }
}
