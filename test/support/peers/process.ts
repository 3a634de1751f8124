/** A program in the foreground of a namespace; when it has ended it can be started again. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type CommandResult, Daemon, must, run, until } from "../shell.ts";

const STOP_MS = 2000;

/** What stands in front of the commands of a program that is not this machine's. */
type Via = (command: readonly string[]) => readonly string[];

export class NamespaceProcess {
  readonly namespace: string;
  readonly name: string;
  readonly #via: Via;
  #daemon: Daemon | undefined;
  #output = "";

  constructor(name: string, namespace: string, via: Via = (command) => command) {
    this.name = name;
    this.namespace = namespace;
    this.#via = via;
  }

  get output(): string {
    return `${this.#output}${this.#daemon?.output ?? ""}`.slice(-16_384);
  }

  get running(): boolean {
    return this.#daemon?.running === true;
  }

  get daemon(): Daemon {
    if (this.#daemon === undefined) throw new Error(`${this.name} was not started`);
    return this.#daemon;
  }

  /** Starts it; the one of before must have ended. */
  start(
    program: string,
    args: readonly string[],
    options: {
      readonly env?: Record<string, string>;
      readonly onLine?: (line: string) => void;
      readonly cwd?: string;
      readonly stdin?: boolean;
    } = {},
  ): void {
    if (this.running) throw new Error(`bug: ${this.name} runs already`);
    this.#output = this.output;
    this.#daemon = new Daemon(this.name, "ip", this.#inside(program, args), options);
  }

  /** Waits until `check` says that it answers; an early end is an error with what it printed. */
  async ready(check: () => Promise<boolean>): Promise<void> {
    const ended = this.daemon.exited.then((status) => {
      throw new Error(`${this.name} ended with ${status}: ${this.output}`);
    });
    ended.catch(() => undefined);
    await Promise.race([until(`${this.name} answers`, check), ended]);
  }

  /** A command in the same namespace. */
  run(program: string, ...args: string[]): Promise<CommandResult> {
    return run("ip", this.#inside(program, args));
  }

  /** A command in the same namespace that must succeed; what it printed. */
  must(program: string, ...args: string[]): Promise<string> {
    return must("ip", this.#inside(program, args));
  }

  #inside(program: string, args: readonly string[]): string[] {
    return ["netns", "exec", this.namespace, ...this.#via([program, ...args])];
  }

  /** SIGKILL to it and to all its children at once, so that none can say good-bye. */
  async kill(): Promise<void> {
    const pid = this.#daemon?.child.pid;
    if (this.#daemon === undefined || pid === undefined || !this.running) return;
    process.kill(-pid, "SIGKILL");
    await this.#daemon.exited;
  }

  async stop(): Promise<void> {
    await this.#daemon?.stop("SIGTERM", STOP_MS);
  }
}

/** Writes a configuration file into a folder; its path. */
export async function writeConfig(folder: string, name: string, lines: string): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, lines, { mode: 0o600 });
  return path;
}
