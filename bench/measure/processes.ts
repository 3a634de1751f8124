/** What the kernel knows of processes and namespaces: CPU, memory, sockets, routes. */
import { readFileSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";

/** The kernel's USER_HZ; the same on all of Linux's architectures that run Node. */
const TICKS_PER_SECOND = 100;

/** User and system time of all of them since their start, in seconds. */
export async function cpuSeconds(pids: readonly number[]): Promise<number> {
  let ticks = 0;
  for (const pid of pids) {
    const text = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => "");
    // The name may hold blanks: fields count from behind it.
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
    ticks += Number(fields[11] ?? 0) + Number(fields[12] ?? 0);
  }
  return ticks / TICKS_PER_SECOND;
}

/**
 * The same to the nanosecond, of the threads that there are: for a span in which none ends, too
 * short for the ticks of {@link cpuSeconds}.
 */
export async function threadSeconds(pids: readonly number[]): Promise<number> {
  let nanoseconds = 0;
  for (const pid of pids) {
    const folder = `/proc/${pid}/task`;
    for (const thread of await readdir(folder).catch(() => [])) {
      const text = await readFile(`${folder}/${thread}/schedstat`, "utf8").catch(() => "");
      nanoseconds += Number(text.split(" ")[0]);
    }
  }
  return nanoseconds / 1e9;
}

/** Memory of all of them in megabytes: the most there was (VmHWM), or what is there (VmRSS). */
export async function megabytes(pids: readonly number[], what: "VmHWM" | "VmRSS"): Promise<number> {
  let kilobytes = 0;
  for (const pid of pids) {
    const text = await readFile(`/proc/${pid}/status`, "utf8").catch(() => "");
    kilobytes += Number(new RegExp(`^${what}:\\s+(\\d+) kB`, "m").exec(text)?.[1] ?? 0);
  }
  return (kilobytes * 1024) / 1e6;
}

/** IPv4 routes of the main table in the process's namespace; counted by the kernel. */
export function routeCount(pid: number): number {
  const text = readFileSync(`/proc/${pid}/net/fib_triestat`, "utf8");
  const count = /Main:[\s\S]*?Prefixes:\s+(\d+)/.exec(text)?.[1];
  return Number(count ?? 0);
}
