/** What a source told, and waiting for it to tell something. */
import { setImmediate as nextLoop } from "node:timers/promises";
import type { Nodes } from "../../src/k8s/node-source.ts";

const WAIT_MS_MAX = 20_000;

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
