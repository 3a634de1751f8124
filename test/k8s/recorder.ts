/** What a source told, and waiting for it to tell something. */
import { setImmediate as nextLoop } from "node:timers/promises";
import type { Nodes } from "../../src/k8s/node-source.ts";
import type { FakeClock } from "../support/fake-clock.ts";

const WAIT_MS_MAX = 20_000;

/** The first tries of a source come sooner than this; what it has under way has 10 s and more. */
const NEXT_TRY_MS_MAX = 9_000;

export class Recorder {
  readonly changes: Nodes[] = [];
  #check: () => void = () => {};

  readonly onChange = (nodes: Nodes): void => {
    this.changes.push(new Map(nodes));
    this.#check();
  };

  get last(): Nodes {
    return this.changes.at(-1) ?? new Map();
  }

  /** Resolves as soon as the Nodes fulfil the condition. */
  until(what: string, holds: (nodes: Nodes) => boolean): Promise<Nodes> {
    return new Promise((resolve, reject) => {
      const limit = setTimeout(() => reject(new Error(`never: ${what}`)), WAIT_MS_MAX);
      this.#check = () => {
        if (this.changes.length === 0 || !holds(this.last)) return;
        clearTimeout(limit);
        this.#check = () => {};
        resolve(this.last);
      };
      this.#check();
    });
  }
}

/** Lets real I/O go on until the condition holds; `step` is called each time round. */
export async function until(
  what: string,
  holds: () => boolean,
  step: () => void = () => {},
): Promise<void> {
  const limit = performance.now() + WAIT_MS_MAX;
  while (!holds()) {
    if (performance.now() > limit) throw new Error(`never: ${what}`);
    step();
    await nextLoop();
  }
}

/**
 * A step for {@link until}: brings the source's next try, if it waits for one. Never the deadline
 * of what is under way: real I/O takes as many turns of the event loop as the machine needs.
 */
export function nextTry(clock: FakeClock): () => void {
  return () => {
    const delayMs = clock.nextDelayMs ?? Number.POSITIVE_INFINITY;
    if (delayMs <= NEXT_TRY_MS_MAX) clock.advance(delayMs);
  };
}
