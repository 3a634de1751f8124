/** What the bench sees of a BGP daemon, whichever program it is. */
import { readFile } from "node:fs/promises";
import { NamespaceProcess } from "../../test/support/peers/process.ts";
import { run } from "../../test/support/shell.ts";
import type { AgentProgram } from "../node-events.ts";

export interface Neighbor {
  readonly address: string;
  readonly as: number;
  /** Waits to be dialled. */
  readonly passive: boolean;
  /** Is told of all routes; the others of none. What they tell is accepted whole. */
  readonly export: boolean;
}

/** The same for every daemon: IPv4 unicast alone, no policy but `export`, no graceful restart. */
export interface DaemonSetup {
  readonly namespace: string;
  /** An empty folder of its own. */
  readonly folder: string;
  readonly address: string;
  readonly port: number;
  readonly as: number;
  readonly routerId: string;
  readonly holdSeconds: number;
  readonly neighbors: readonly Neighbor[];
  /** Best routes go into the kernel. */
  readonly kernel: boolean;
  /** Its event loop is looked at, where it has one: see measure/loop-delay.ts. */
  readonly watchLoop: boolean;
}

export interface DaemonKind {
  /** What it is called on the command line and in the results. */
  readonly key: string;
  readonly label: string;
  /** Whether it can put routes into Linux's tables. */
  readonly kernel: boolean;
  /** Why it cannot be measured here, or undefined. */
  unavailable(): Promise<string | undefined>;
  version(): Promise<string>;
  /** What bench/node-events.ts is to run in a cluster; the agent alone has this. */
  readonly agent?: AgentProgram;
  /** Starts it without waiting for anything. */
  start(setup: DaemonSetup): Promise<RunningDaemon>;
}

/** One daemon, of one or several programs, in the foreground of its namespace. */
export class RunningDaemon {
  readonly #processes: readonly NamespaceProcess[];

  /** In the order in which they were started; the one that speaks BGP is the last. */
  constructor(...processes: NamespaceProcess[]) {
    this.#processes = processes;
  }

  /** Of the program that speaks BGP. */
  get pid(): number {
    const pid = this.#processes.at(-1)?.daemon.child.pid;
    if (pid === undefined) throw new Error(`the daemon did not start: ${this.output}`);
    return pid;
  }

  get running(): boolean {
    return this.#processes.every((each) => each.running);
  }

  /** The last that it printed. */
  get output(): string {
    return this.#processes.map((each) => each.output).join("\n");
  }

  /** Its processes and their children. */
  async pids(): Promise<readonly number[]> {
    const found: number[] = [];
    const visit = async (pid: number): Promise<void> => {
      found.push(pid);
      for (const child of await childrenOf(pid)) await visit(child);
    };
    for (const { daemon } of this.#processes) {
      if (daemon.child.pid !== undefined) await visit(daemon.child.pid);
    }
    return found;
  }

  /** Ends all of it, without good-byes: the next one starts afresh anyway. */
  async stop(): Promise<void> {
    for (const each of [...this.#processes].reverse()) await each.kill();
  }
}

async function childrenOf(pid: number): Promise<readonly number[]> {
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, "utf8").catch(() => "");
  return text.split(" ").filter(Boolean).map(Number);
}

/** Starts one program in the daemon's namespace. */
export function launch(
  setup: DaemonSetup,
  name: string,
  command: readonly string[],
  env: Record<string, string> = {},
): NamespaceProcess {
  const started = new NamespaceProcess(name, setup.namespace);
  const [program, ...args] = command;
  started.start(program!, args, { env });
  return started;
}

/** The first version number in what a command prints, wherever it prints it. */
export async function versionOf(command: readonly string[]): Promise<string> {
  const [program, ...args] = command;
  const { stdout, stderr } = await run(program!, args);
  const text = `${stdout}${stderr}`;
  const found = /\d+(?:\.\d+)+(?:\+g[0-9a-f]{7,40}(?:-dirty)?)?/.exec(text)?.[0];
  if (found === undefined) throw new Error(`${command.join(" ")}: no version: ${text.trim()}`);
  return found;
}
