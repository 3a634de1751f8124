/** A source that begins with the Nodes of the last run, and saves what it learns for the next. */
import type { NodeCache } from "./node-cache.ts";
import type { NodeSource, NodeSourceStatus, OnNodes } from "./node-source.ts";

export class CachedNodeSource implements NodeSource {
  readonly #source: NodeSource;
  readonly #cache: NodeCache;
  #starting: Promise<void> = Promise.resolve();
  #stopped = false;

  constructor(source: NodeSource, cache: NodeCache) {
    this.#source = source;
    this.#cache = cache;
  }

  /** `onChange` first gets the saved Nodes, if there are any, then what the source says. */
  start(onChange: OnNodes): void {
    this.#starting = this.#cache.load().then((saved) => {
      if (this.#stopped) return;
      if (saved !== undefined) onChange(saved.nodes);
      const news: OnNodes = (nodes, changed) => {
        this.#cache.save({ nodes, version: this.#source.status().version });
        onChange(nodes, changed);
      };
      this.#source.start(news, saved?.nodes, saved?.version);
    });
  }

  underlayChanged(): void {
    this.#source.underlayChanged?.();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#starting;
    await this.#source.stop();
    await this.#cache.close();
  }

  status(): NodeSourceStatus {
    const { problem: notSaved, unusable: notLoaded } = this.#cache;
    return { ...this.#source.status(), notSaved, notLoaded };
  }
}
