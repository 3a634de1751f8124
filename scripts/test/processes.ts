/** The processes of this machine, as /proc has them. */
import { readdirSync, readFileSync } from "node:fs";

export interface Process {
  readonly pid: number;
  readonly parent: number;
  readonly group: number;
  /** Of this process alone, also when its id is another's later. */
  readonly key: string;
  /** Program and arguments. */
  readonly words: readonly string[];
}

/** All that run; what has ended and waits for its parent is not among them. */
export function processes(): readonly Process[] {
  const ids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  return ids.flatMap((id) => read(id) ?? []);
}

/** proc_pid_stat(5): the name, which may have anything in it, stands between parentheses. */
function read(id: string): Process | undefined {
  try {
    const stat = readFileSync(`/proc/${id}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    const [state, parent, group] = fields;
    if (state === "Z" || state === "X") return undefined;
    const words = readFileSync(`/proc/${id}/cmdline`, "utf8").split("\0").slice(0, -1);
    const key = `${id} ${fields[19]}`;
    return { pid: Number(id), parent: Number(parent), group: Number(group), key, words };
  } catch {
    // It ended in the meantime.
    return undefined;
  }
}

/** A process and what is below it in its process group. */
export function groupBelow(top: Process, all: readonly Process[]): readonly Process[] {
  const children = all.filter(({ parent, group }) => parent === top.pid && group === top.group);
  return [top, ...children.flatMap((child) => groupBelow(child, all))];
}

export function stillRuns({ pid, key }: Process): boolean {
  return read(String(pid))?.key === key;
}

/** A signal to those of `wanted` that still run. */
export function signalAll(wanted: readonly Process[], signal: NodeJS.Signals): void {
  for (const { pid } of wanted.filter(stillRuns)) {
    try {
      process.kill(pid, signal);
    } catch {
      // It ended in the meantime.
    }
  }
}
