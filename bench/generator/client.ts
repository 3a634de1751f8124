/** The bench's end of the load generator: a process in the peers' namespace, and its commands. */
import { join } from "node:path";
import { JsonProcess } from "../../test/support/peers/json-process.ts";
import type { ChangeOrder } from "./changes.ts";
import type { GeneratorSetup, Goal, Totals } from "./peers.ts";

interface Reached {
  readonly id: number;
  readonly at: number;
  readonly totals: Totals;
}

/** Something that was waited for did not come. */
export class LateError extends Error {}

export class Generator {
  readonly #process: JsonProcess;
  readonly #waiting = new Map<number, (event: unknown) => void>();
  #id = 0;

  constructor(namespace: string) {
    const program = join(import.meta.dirname, "main.ts");
    this.#process = new JsonProcess("generator", namespace, program, (event) => {
      const { id } = event as { readonly id: number };
      this.#waiting.get(id)?.(event);
      this.#waiting.delete(id);
    });
  }

  get pid(): number | undefined {
    return this.#process.process.daemon.child.pid;
  }

  async start(setup: GeneratorSetup): Promise<void> {
    if (!this.#process.running) this.#process.start({});
    await this.#process.ask("setup", setup);
  }

  listen(): Promise<void> {
    return this.#process.ask("listen");
  }

  /** @returns when it began, ms since the epoch. */
  dial(window: number): Promise<number> {
    return this.#process.ask("dial", window);
  }

  send(what: "announce" | "withdraw"): Promise<number> {
    return this.#process.ask("send", what);
  }

  drop(): Promise<number> {
    return this.#process.ask("drop");
  }

  totals(): Promise<Totals> {
    return this.#process.ask("totals");
  }

  /** When the goal was reached, and what had come by then; ask before what leads to it. */
  async reach(goal: Goal, timeoutMs: number): Promise<Reached> {
    return (await this.#event("reach", { goal }, timeoutMs, async () => {
      const totals = await this.totals().catch(() => undefined);
      return `${JSON.stringify(goal)}; so far ${JSON.stringify(totals)}`;
    })) as Reached;
  }

  /** Milliseconds that each change took. */
  async changes(order: ChangeOrder, timeoutMs: number): Promise<readonly number[]> {
    const event = await this.#event("changes", { order }, timeoutMs, async () => "the changes");
    return (event as { readonly milliseconds: readonly number[] }).milliseconds;
  }

  stop(): Promise<void> {
    return this.#process.process.stop();
  }

  async #event(
    method: string,
    argument: object,
    timeoutMs: number,
    what: () => Promise<string>,
  ): Promise<unknown> {
    const id = this.#id++;
    const come = new Promise<unknown>((resolve) => this.#waiting.set(id, resolve));
    await this.#process.ask(method, { ...argument, id });
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<undefined>((resolve) => {
      timer = setTimeout(() => resolve(undefined), timeoutMs);
    });
    const event = await Promise.race([come, late]);
    clearTimeout(timer);
    this.#waiting.delete(id);
    if (event === undefined) throw new LateError(`not within ${timeoutMs} ms: ${await what()}`);
    return event;
  }
}
