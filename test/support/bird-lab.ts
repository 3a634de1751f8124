/** Namespaces in which the agent runs as a BGP daemon beside BIRD; nothing is left behind. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { Namespaces, namespacesUnavailable } from "./namespaces.ts";
import { requireReal } from "./real.ts";
import { Daemon, hasProgram } from "./shell.ts";

export interface BirdLab {
  /** For configuration files and sockets. */
  readonly folder: string;
  readonly ns: Namespaces;
  /** Runs a program in a namespace until the end of the test. */
  start(namespace: string, program: string, ...args: string[]): Daemon;
}

/** Undefined where it cannot be had: the test is skipped then, or failed under CI. */
export async function birdLab(t: TestContext): Promise<BirdLab | undefined> {
  const reason =
    (await namespacesUnavailable()) ?? ((await hasProgram("bird")) ? undefined : "no BIRD here");
  if (!requireReal(t, reason === undefined, reason ?? "")) return undefined;
  const folder = await mkdtemp(join(tmpdir(), "podrouter-bird-"));
  const ns = new Namespaces();
  const daemons: Daemon[] = [];
  t.after(async () => {
    await Promise.all(daemons.map((daemon) => daemon.stop()));
    await ns.remove();
    await rm(folder, { recursive: true });
  });
  const start = (namespace: string, program: string, ...args: string[]) => {
    const inside = ["netns", "exec", ns.name(namespace), program, ...args];
    const daemon = new Daemon(program, "ip", inside);
    daemons.push(daemon);
    return daemon;
  };
  return { folder, ns, start };
}
