/**
 * What becomes of network namespaces and folders when the process that made them ends before it has
 * removed them: by a signal, SIGKILL too, by a time limit, by a mistake. A keeper, a shell of its
 * own that reads from a pipe, sees that end and removes them. Their names tell whose they are:
 * `pr-<pid>-…` and `podrouter-lab-<pid>-…`.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync } from "node:fs";
import type { Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

const NAMESPACES = "/run/netns";
const NAMESPACE = "pr-";
const FOLDER = "podrouter-lab-";
const KEEPER = join(import.meta.dirname, "keeper.sh");

/** A process group of its own: Ctrl-C is not for it. */
function startKeeper(pid: number, stdin: "pipe" | "ignore"): ChildProcess {
  const paths = [join(NAMESPACES, `${NAMESPACE}${pid}-`), join(tmpdir(), `${FOLDER}${pid}-`)];
  return spawn(KEEPER, paths, { stdio: [stdin, "ignore", "ignore"], detached: true });
}

let keeper: ChildProcess | undefined;

/**
 * The pipe ends with us, and nothing is ever written to it. When nobody reads what we say, since our
 * runner was killed, we end too: a test that fails by this would go on.
 */
function keep(): void {
  if (keeper !== undefined) return;
  for (const stream of [process.stdout, process.stderr]) stream.on("error", () => process.exit(1));
  keeper = startKeeper(process.pid, "pipe");
  keeper.unref();
  (keeper.stdin as Socket).unref();
}

/** A name for a namespace of this process. */
export function keptName(label: string): string {
  keep();
  return `${NAMESPACE}${process.pid}-${label}`;
}

/** Makes a folder for files of this process. */
export function keptFolder(): string {
  keep();
  return mkdtempSync(join(tmpdir(), `${FOLDER}${process.pid}-`));
}

/** Does what the keepers of processes did not that are gone. @returns what there was. */
export async function sweepDead(): Promise<readonly string[]> {
  const found = [...entries(NAMESPACES, NAMESPACE), ...entries(tmpdir(), FOLDER)];
  const dead = found.filter(({ pid }) => !existsSync(`/proc/${pid}`));
  const keepers = [...new Set(dead.map(({ pid }) => pid))].map((pid) => startKeeper(pid, "ignore"));
  await Promise.all(keepers.map((each) => once(each, "exit")));
  return dead.map(({ name }) => name);
}

function entries(folder: string, prefix: string) {
  const names = existsSync(folder) ? readdirSync(folder) : [];
  return names.flatMap((name) => {
    const pid = new RegExp(`^${prefix}(\\d+)-`).exec(name)?.[1];
    return pid === undefined ? [] : [{ name, pid: Number(pid) }];
  });
}
