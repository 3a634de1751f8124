/**
 * One neighbour of the speaker: joins its session to the RIB. What comes in is decoded and goes
 * into the RIB, what the RIB has for it goes out while the connection takes it, and when the
 * session ends it decides which routes stay for a while.
 */
import type { IpAddress } from "../../ip/address.ts";
import { assert } from "../../runtime/assert.ts";
import type { Timer } from "../../runtime/clock.ts";
import type { Log } from "../../runtime/log.ts";
import type { LocalIdentity } from "../fsm/collision.ts";
import {
  familiesStillForwarded,
  familiesToRetain,
  keepsOurRoutes,
} from "../fsm/graceful-restart.ts";
import type { EndCause } from "../fsm/state.ts";
import type { Introduction } from "../message/negotiate.ts";
import type {
  BgpError,
  NegotiatedSession,
  RouteFamily,
  RouteRefreshMessage,
} from "../message/types.ts";
import { UpdateDecoder } from "../message/update-decoder.ts";
import type { PeerId } from "../rib/peer-table.ts";
import type { PrefixLimitState } from "../rib/prefix-limit-state.ts";
import { type EndOrder, PeerSession, type SessionHooks } from "../session/peer-session.ts";
import type { Connection } from "../session/transport.ts";
import type { Task } from "../session/work-queue.ts";
import type { PeerConfig } from "../types.ts";
import {
  administrativeReset,
  administrativeShutdown,
  linkLost,
  maximumPrefixes,
} from "./end-orders.ts";
import { OUTPUT_BATCH_BYTES, RESET_DELAY_MS } from "./limits.ts";
import { type Forwarding, localIdentity, ribPeer } from "./local-side.ts";
import { logMalformedUpdate } from "./malformed-log.ts";
import { nextHopsOf } from "./next-hops.ts";
import { differs, policiesOf } from "./peer-change.ts";
import type { PeerHost } from "./peer-host.ts";
import { PeerLink } from "./peer-link.ts";
import { RouteRefresh } from "./route-refresh.ts";
import { StaleRoutes } from "./stale-routes.ts";

export class Peer implements SessionHooks, Task {
  readonly session: PeerSession;
  readonly refresh: RouteRefresh;
  local: LocalIdentity;
  /** Families whose End-of-RIB came in this session. */
  readonly endOfRib = new Set<RouteFamily>();
  /** When the session came up, monotonic ms. */
  upAt: number | undefined;
  /** A KEEPALIVE came in this session. */
  heardKeepalive = false;
  /** Held down for too many prefixes. */
  held = false;
  readonly #host: PeerHost;
  readonly #stale: StaleRoutes;
  #config: PeerConfig;
  #id: PeerId | undefined;
  #decoder: UpdateDecoder | undefined;
  #everUp = false;
  /** Where the peer goes on after a collision: its OPEN there is older than the session's end. */
  #goesOnAt: Connection | undefined;
  #startTimer: Timer | undefined;
  readonly #link: PeerLink;
  #dialTimer: Timer | undefined;

  constructor(config: PeerConfig, host: PeerHost) {
    this.#config = config;
    this.#host = host;
    this.local = localIdentity(host.config(), config);
    this.session = new PeerSession(config, { ...host.services, log: this.#logOf(config) }, this);
    this.#link = new PeerLink(config.address, host.underlay, host.services);
    this.#stale = new StaleRoutes(host.services.clock, {
      markLongLived: (family) => this.#withId((id) => host.rib.markLongLived(id, family)),
      sweep: (family) => this.#withId((id) => host.rib.sweepStale(id, family)),
      emptied: () => this.bind(undefined),
    });
    this.refresh = new RouteRefresh(this, host);
  }

  get address(): IpAddress {
    return this.#config.address;
  }

  get config(): PeerConfig {
    return this.#config;
  }

  /** Its number in the RIB, while it is up or routes are kept. */
  get ribId(): PeerId | undefined {
    return this.#id;
  }

  get isUp(): boolean {
    return this.upAt !== undefined;
  }

  /** Not meant to be up: shut down, or held down. */
  get down(): boolean {
    return this.#config.shutdown !== undefined || this.held;
  }

  /** What was negotiated, while it is up or about to be. */
  get negotiated(): NegotiatedSession | undefined {
    return this.session.session;
  }

  /** What our OPEN says now; that we restarted is not over while routes are held back. */
  get forwarding(): Forwarding {
    const restart = this.#config.gracefulRestart;
    if (restart === undefined) return "none";
    const { restartSeconds, longLivedSeconds = 0 } = restart;
    const isFirst = (seconds: number) =>
      !this.#everUp && this.#host.restartedWithin(seconds * 1000);
    if (isFirst(restartSeconds) || this.#host.deferring()) return "restarted";
    const kept = this.isUp || this.#stale.oursAreKept || isFirst(restartSeconds + longLivedSeconds);
    return kept ? "kept" : "none";
  }

  /** Brings the session up as the configuration wants it; the first dial after `delayMs`. */
  start(delayMs: number): void {
    if (!this.down && this.#host.running()) this.session.start(delayMs);
  }

  /** Dials after `delayMs` if the next dial is waited for then. Asked again before: still once. */
  dialSoon(delayMs: number): void {
    if (this.#dialTimer !== undefined || this.isUp || this.#config.passive || this.down) return;
    this.#dialTimer = this.#host.services.clock.after(delayMs, () => {
      this.#dialTimer = undefined;
      this.session.dialNow();
    });
  }

  /**
   * The session ends at once where the link to an external peer is lost, and its routes go, even if
   * it announced graceful restart: nothing forwards by way of it.
   */
  underlayChanged(): void {
    const waitMs = this.#link.lookAgain();
    if (waitMs === undefined) return;
    this.#release();
    this.session.stop(linkLost);
    this.#startLater(Math.max(RESET_DELAY_MS, waitMs));
  }

  /** Ends the session until `start`. What was kept of it goes at once, with all timers. */
  end(order: EndOrder): void {
    this.#release();
    this.#dialTimer?.cancel();
    this.#dialTimer = undefined;
    this.session.stop(order);
    this.#forgetStale();
    this.#everUp = false;
  }

  /** Takes equal settings in another object, so that they are told to be the same at a glance. */
  adopt(config: PeerConfig): void {
    this.#config = config;
    this.session.config = config;
  }

  /** Takes settings that need no new session; the caller has dealt with those that do. */
  reconfigure(config: PeerConfig): void {
    const before = this.#config;
    this.#config = config;
    this.session.config = config;
    this.local = localIdentity(this.#host.config(), config);
    if (config.name !== before.name) this.session.log = this.#logOf(config);
    if (config.shutdown !== undefined) {
      if (before.shutdown === undefined) {
        this.#release();
        this.session.stop(administrativeShutdown(config.shutdown.message));
        // As an end by this order: it is final also for a peer that is away.
        this.#forgetStale();
      }
      return;
    }
    // Who waits does so by the settings of before: for a dial elsewhere, or for none at all.
    const dialsAnew = differs(before, config, "passive") || differs(before, config, "port");
    if (dialsAnew) this.session.dialAnew();
    const limits = config.maximumPrefixes;
    const newLimit = limits?.limit !== before.maximumPrefixes?.limit;
    if (before.shutdown !== undefined || (this.held && newLimit)) {
      this.#release();
      this.start(0);
    } else if (limits?.restartSeconds !== before.maximumPrefixes?.restartSeconds) {
      this.#restartLater();
    }
    this.#withId((id) => {
      const limit = this.#host.rib.setPeerPolicies(id, policiesOf(config));
      if (this.isUp) this.#obey(limit);
    });
  }

  /** Ends the session and begins anew with what is configured now. */
  reset(order: EndOrder, delayMs: number): void {
    this.local = localIdentity(this.#host.config(), this.#config);
    // Other settings make it no fewer prefixes: only the operator's word lets it up again.
    if (this.held && order !== administrativeReset) return;
    this.#release();
    this.session.stop(order);
    this.start(delayMs);
  }

  /** The RIB has output, or may give it now. */
  outputReady(): void {
    this.#host.services.work.schedule(this);
  }

  /** Routes are no longer held back; the RIB says if there are some. */
  releaseOutput(): void {
    if (this.isUp) this.#withId((id) => this.#host.rib.holdOutput(id, false));
  }

  /** One slice of output. */
  run(deadline: number): boolean {
    const { rib, services } = this.#host;
    const id = this.#id;
    if (id === undefined || !this.isUp) return false;
    while (this.session.canSend) {
      // Asked though another member of the group may have used it up: the RIB calls again only
      // after it was.
      const buffers = rib.drainOutput(id, OUTPUT_BATCH_BYTES);
      if (buffers.length > 0) this.session.send(buffers);
      if (!rib.hasOutput(id)) return false;
      if (services.clock.now() >= deadline) return this.session.canSend;
    }
    return false;
  }

  introduction(): Introduction {
    const { memory } = this.#host;
    return memory.introductions.of(this.local, this.#host.config(), this.#config, this.forwarding);
  }

  established(session: NegotiatedSession): void {
    const { rib, services, memory } = this.#host;
    this.#everUp = true;
    this.upAt = services.clock.now();
    this.endOfRib.clear();
    this.heardKeepalive = false;
    this.#decoder = new UpdateDecoder(session, { memory: memory.decoder });
    const own = this.#config.localAddress ?? this.session.connection?.localAddress;
    if (!session.internal && this.#config.multihopTtl === 1) this.#link.up(own);
    const nextHops = nextHopsOf(this.#config, own, session.families, services.transport);
    const id = rib.peerUp(ribPeer(this.#config, this.local, session, nextHops));
    this.bind(id);
    const goesOn = this.#goesOnAt !== undefined && this.#goesOnAt === this.session.connection;
    this.#stale.peerReturned(familiesStillForwarded(session, goesOn));
    if (this.#host.deferring()) rib.holdOutput(id, true);
    if (rib.hasOutput(id)) this.outputReady();
    this.#host.progressed();
  }

  update(buffer: Uint8Array, start: number, end: number): BgpError | undefined {
    const decoder = this.#decoder;
    const id = this.#id;
    assert(decoder !== undefined && id !== undefined, "UPDATEs come in established sessions");
    const update = decoder.decode(buffer, start, end);
    // Not by `isBgpError`: that is asked of all kinds of things, this of one.
    if (!("treatment" in update)) {
      logMalformedUpdate(this.session.log, [update.reason], buffer.subarray(start, end));
      return update;
    }
    if (update.errors.length > 0) {
      const reasons = update.errors.map(({ reason }) => reason);
      for (const reason of reasons) this.session.record.errors.add(reason);
      logMalformedUpdate(this.session.log, reasons, buffer.subarray(start, end));
    }
    const limit = this.#host.rib.update(id, update);
    if (update.endOfRib !== undefined) this.#endOfRib(id, update.endOfRib);
    this.#obey(limit);
    return undefined;
  }

  #logOf({ name, address }: PeerConfig): Log {
    return this.#host.services.log.child({ peer: name, address });
  }

  #obey(limit: PrefixLimitState): void {
    const { session } = this;
    if (limit.exceeded !== undefined) this.#holdDown(limit.exceeded);
    if (limit.crowded) {
      session.record.errors.add("paths beyond what is kept of a prefix, or of all");
    }
    if (limit.warning !== undefined) {
      const most = this.#config.maximumPrefixes?.limit;
      session.log.warn({ family: limit.warning, limit: most }, "prefix limit nearly reached");
    }
  }

  routeRefresh(message: RouteRefreshMessage): void {
    this.refresh.received(message);
  }

  keepalive(): void {
    if (this.heardKeepalive) return;
    this.heardKeepalive = true;
    this.#host.progressed();
  }

  ended(session: NegotiatedSession, cause: EndCause): void {
    const { rib, services } = this.#host;
    const retained = this.#stale.keepable(familiesToRetain(session, cause));
    this.upAt = undefined;
    this.#link.ended();
    this.#decoder = undefined;
    services.work.remove(this);
    this.refresh.ended();
    const retainStale = retained.map(({ family }) => family);
    const goesOn = cause.kind === "collision";
    this.#goesOnAt = goesOn ? this.session.connection : undefined;
    this.#withId((id) => rib.peerDown(id, { retainStale, goesOn }));
    this.#stale.peerLeft(retained, keepsOurRoutes(session, cause));
    if (retained.length === 0) this.bind(undefined);
    this.#host.progressed();
  }

  writable(): void {
    this.outputReady();
  }

  changed(): void {
    this.#host.changed(this);
  }

  /** Routes that are kept for a peer that is away go at once. */
  #forgetStale(): void {
    for (const family of this.#stale.families) {
      this.#withId((id) => this.#host.rib.sweepStale(id, family));
    }
    this.#stale.cancel();
    this.bind(undefined);
  }

  #endOfRib(id: PeerId, family: RouteFamily): void {
    this.#host.rib.endOfRib(id, family);
    this.#stale.done(family);
    this.endOfRib.add(family);
    this.#host.progressed();
  }

  /** RFC 4271 §6.7: too many prefixes. */
  #holdDown(family: RouteFamily): void {
    const limits = this.#config.maximumPrefixes;
    if (limits === undefined || this.held) return;
    this.held = true;
    this.session.record.errors.add("more prefixes than the limit");
    this.session.stop(maximumPrefixes(family, limits.limit));
    this.#restartLater();
  }

  /** Who is held comes back in the time that is configured, from now on, or not by itself. */
  #restartLater(): void {
    if (!this.held) return;
    this.#startTimer?.cancel();
    const { restartSeconds = 0 } = this.#config.maximumPrefixes ?? {};
    if (restartSeconds > 0) this.#startLater(restartSeconds * 1000);
  }

  #startLater(delayMs: number): void {
    this.#startTimer = this.#host.services.clock.after(delayMs, () => {
      this.#release();
      this.start(0);
    });
  }

  #release(): void {
    this.held = false;
    this.#startTimer?.cancel();
    this.#startTimer = undefined;
  }

  /** Takes its number in the RIB; undefined = that forgot it, and the number may serve another. */
  bind(id: PeerId | undefined): void {
    if (id === this.#id) return;
    this.#host.bind(this, this.#id, id);
    this.#id = id;
  }

  #withId(action: (id: PeerId) => void): void {
    if (this.#id !== undefined) action(this.#id);
  }
}
