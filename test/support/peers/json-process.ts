/** The test's end of a helper program that answers JSON commands, in a namespace. */
import type { Reply } from "../json-commands.ts";
import { NamespaceProcess } from "./process.ts";

const ANSWER_MS_MAX = 30_000;

export class JsonProcess {
  readonly process: NamespaceProcess;
  readonly #program: string;
  readonly #onEvent: (event: unknown) => void;
  readonly #waiting = new Map<number, (reply: Reply) => void>();
  #id = 0;

  constructor(
    name: string,
    namespace: string,
    program: string,
    onEvent: (event: unknown) => void = () => undefined,
  ) {
    this.process = new NamespaceProcess(name, namespace);
    this.#program = program;
    this.#onEvent = onEvent;
  }

  /** The last that it said of itself; answers to commands are left out. */
  get output(): string {
    const lines = this.process.output.split("\n");
    return lines.filter((line) => !/^\{"(?:id|event)"/.test(line)).join("\n");
  }

  get running(): boolean {
    return this.process.running;
  }

  start(argument: unknown): void {
    const node = [this.#program, JSON.stringify(argument)];
    this.process.start(process.execPath, node, {
      stdin: true,
      onLine: (line) => this.#take(line),
    });
    this.process.daemon.child.stdin?.on("error", () => undefined);
    this.process.daemon.exited.then(() => this.#fail());
  }

  /** One command, and its answer. */
  async ask<T>(method: string, argument: unknown = null): Promise<T> {
    if (!this.running) throw new Error(`${this.process.name} does not run: ${this.output}`);
    const id = this.#id++;
    const reply = await new Promise<Reply>((resolve) => {
      const late = `${method}: no answer within ${ANSWER_MS_MAX} ms`;
      const timer = setTimeout(() => resolve({ id, error: late }), ANSWER_MS_MAX);
      this.#waiting.set(id, (reply) => {
        clearTimeout(timer);
        resolve(reply);
      });
      this.process.daemon.child.stdin?.write(`${JSON.stringify({ id, method, argument })}\n`);
    });
    this.#waiting.delete(id);
    if ("error" in reply) throw new Error(`${this.process.name}: ${reply.error}`);
    return ("value" in reply ? reply.value : undefined) as T;
  }

  #take(line: string): void {
    if (!line.startsWith("{")) return;
    const reply = JSON.parse(line) as Reply;
    if ("event" in reply) this.#onEvent(reply.event);
    else this.#waiting.get(reply.id)?.(reply);
  }

  #fail(): void {
    for (const [id, settle] of this.#waiting) settle({ id, error: `ended: ${this.output}` });
    this.#waiting.clear();
  }
}
