/**
 * How far a start has come: how long routes are held back after a restart (RFC 4724 §4.1), when the
 * speaker is converged, and when what an earlier run has left behind counts as nobody's. Who is
 * waited for stands in waiting.ts; here it is asked whenever a peer makes progress, and twice a
 * second while somebody is, for who stays away does nothing that could be heard.
 */
import type { Clock, Timer } from "../../runtime/clock.ts";
import type { WorkQueue } from "../session/work-queue.ts";
import type { SpeakerConfig } from "../types.ts";
import { WAITING_CHECK_MS } from "./limits.ts";
import { taskOf } from "./rib-tasks.ts";
import { hasConverged, mustDefer, untold, type WaitingPeer } from "./waiting.ts";

/** What it sees of the speaker, and tells it. */
export interface ConvergenceHost {
  config(): SpeakerConfig;
  peers(): Iterable<WaitingPeer>;
  /** Routes are held back no longer. */
  released(): void;
  /** Before the listeners hear of it: all best routes are to be told by then. */
  converged(): void;
}

export class Convergence {
  readonly #clock: Clock;
  readonly #work: WorkQueue;
  readonly #host: ConvergenceHost;
  readonly #listeners = new Set<() => void>();
  readonly #look = taskOf(() => this.#lookNow());
  #running = false;
  #peersKnown = false;
  #deferring = false;
  #converged = false;
  #startedAt = 0;
  #timer: Timer | undefined;

  constructor(clock: Clock, work: WorkQueue, host: ConvergenceHost) {
    this.#clock = clock;
    this.#work = work;
    this.#host = host;
  }

  /** Routes are held back for now, RFC 4724 §4.1. */
  get deferring(): boolean {
    return this.#deferring;
  }

  /** Whether all peers have told their tables since the start, or had their time to come up. */
  get converged(): boolean {
    return this.#converged;
  }

  /** A start begins; no session is up yet. */
  start(): void {
    this.#running = true;
    this.#converged = false;
    this.#startedAt = this.#clock.now();
    this.#deferring = this.#host.config().restarted;
  }

  /** Sessions may come up from now on: they are waited for. */
  awaitPeers(): void {
    this.#lookNow();
    // A listener may have stopped the speaker.
    if (!this.#running || (!this.#deferring && this.#converged)) return;
    this.#timer = this.#clock.after(WAITING_CHECK_MS, () => this.awaitPeers());
  }

  stop(): void {
    this.#running = false;
    this.#timer?.cancel();
  }

  /** The speaker was told its peers: before that, that there are none says nothing. */
  peersTold(): void {
    this.#peersKnown = true;
    this.progressed();
  }

  /** Somebody who may have been waited for came up, went down, or sent an End-of-RIB. */
  progressed(): void {
    if (this.#deferring || !this.#converged) this.#work.schedule(this.#look);
  }

  /** We restarted `ms` ago at most. */
  restartedWithin(ms: number): boolean {
    return this.#host.config().restarted && this.#clock.now() - this.#startedAt < ms;
  }

  /** Whether what an earlier run left is nobody's: peers have their time from `since` (ms) on. */
  complete(since = this.#startedAt): boolean {
    const config = this.#host.config();
    if (!this.#converged || !config.restarted) return this.#converged;
    const begun = Math.max(since, this.#startedAt);
    return hasConverged(this.#host.peers(), this.#clock.now(), begun, config);
  }

  /** Names of the peers that have not told their whole table. */
  untold(): readonly string[] {
    return untold(this.#host.peers());
  }

  /** Called once a start, when `converged` becomes true; gives what removes the listener. */
  listen(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Sees whether routes may go out now, and whether all is told. */
  #lookNow(): void {
    if (!this.#running || !this.#peersKnown) return;
    const host = this.#host;
    const now = this.#clock.now();
    if (this.#deferring && !mustDefer(host.peers(), host.config(), now - this.#startedAt)) {
      this.#deferring = false;
      host.released();
    }
    if (this.#converged || !hasConverged(host.peers(), now, this.#startedAt)) return;
    this.#converged = true;
    host.converged();
    for (const listener of this.#listeners) if (this.#running) listener();
  }
}
