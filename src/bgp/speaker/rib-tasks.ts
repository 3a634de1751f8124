/** Work of the RIB in fair turns: what it postponed, and telling what changed. */
import type { Clock } from "../../runtime/clock.ts";
import type { Rib } from "../rib/rib.ts";
import type { Task, WorkQueue } from "../session/work-queue.ts";
import type { BestRoute } from "../types.ts";
import { BEST_BATCH_ROUTES, RIB_WORK_UNITS } from "./limits.ts";

/** Does what the RIB postponed. */
export class RibWork implements Task {
  readonly #rib: Rib;
  readonly #clock: Clock;

  constructor(rib: Rib, clock: Clock) {
    this.#rib = rib;
    this.#clock = clock;
  }

  run(deadline: number): boolean {
    while (this.#rib.work(RIB_WORK_UNITS)) {
      if (this.#clock.now() >= deadline) return true;
    }
    return false;
  }
}

/** Tells changed best routes to whoever listens, while the speaker runs. */
export class BestChanges implements Task {
  readonly #rib: Rib;
  readonly #clock: Clock;
  readonly #running: () => boolean;
  readonly #listeners = new Set<(routes: readonly BestRoute[]) => void>();
  readonly #tableListeners = new Set<() => void>();
  #onWaiting: (() => void) | undefined;

  constructor(rib: Rib, clock: Clock, running: () => boolean) {
    this.#rib = rib;
    this.#clock = clock;
    this.#running = running;
  }

  /** Adds a listener; gives what removes it. */
  listen(listener: (routes: readonly BestRoute[]) => void): () => void {
    this.#rib.listBestChanges();
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /**
   * From now on changed best routes are left to be taken in columns, by `Rib.nextHops`, and no
   * listener hears of them. `onWaiting` is called when there are some, once until all were taken,
   * also from inside a call; it may only note that.
   */
  leave(onWaiting: () => void): void {
    this.#onWaiting = onWaiting;
    this.#rib.listBestChanges();
  }

  /** There are changes. Those from before the start wait for {@link started}. */
  dirty(work: WorkQueue): void {
    if (!this.#running()) return;
    if (this.#onWaiting === undefined) work.schedule(this);
    else this.#onWaiting();
  }

  /** The RIB tells once that there are changes: it may have done so before the start. */
  started(work: WorkQueue): void {
    if (this.#rib.bestAreDirty) this.dirty(work);
  }

  /** Adds a listener that only hears that something changed; gives what removes it. */
  watch(listener: () => void): () => void {
    this.#tableListeners.add(listener);
    return () => void this.#tableListeners.delete(listener);
  }

  run(deadline: number): boolean {
    if (!this.#running()) return false;
    this.#tell(this.#tableListeners, undefined);
    while (this.#tellSome()) {
      if (this.#clock.now() >= deadline) return true;
    }
    return false;
  }

  /** Tells everything there is, now. */
  flush(): void {
    while (this.#tellSome());
  }

  #tellSome(): boolean {
    if (this.#onWaiting !== undefined) return false;
    const routes = this.#rib.takeBestChanges(BEST_BATCH_ROUTES);
    if (routes.length === 0) return false;
    this.#tell(this.#listeners, routes);
    return true;
  }

  /** A listener may stop the speaker: the others hear no more then. */
  #tell<T>(listeners: Iterable<(news: T) => void>, news: T): void {
    for (const listener of listeners) if (this.#running()) listener(news);
  }
}

/** A task of one call, to be run in its turn. */
export function taskOf(run: () => void): Task {
  return {
    run() {
      run();
      return false;
    },
  };
}
