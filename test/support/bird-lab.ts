/** Namespaces in which the agent runs as a BGP daemon beside BIRD; nothing is left behind. */
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { keptFolder } from "../../packages/netlink-ts/test/support/keeper.ts";
import { Namespaces, namespacesUnavailable } from "./namespaces.ts";
import { PODROUTER } from "./program.ts";
import { requireReal } from "./real.ts";
import { Daemon, hasProgram, run } from "./shell.ts";

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
  const folder = keptFolder();
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

/**
 * A BIRD on a link of its own to the namespace `us`: link 3 is v3 there, 192.0.3.1/24, and v0 with
 * 192.0.3.2 in the namespace `bird3`. Gives the path of its control socket.
 */
export async function birdOnLink(lab: BirdLab, link: number, config: string): Promise<string> {
  const { folder, ns, start } = lab;
  const other = `bird${link}`;
  await ns.add(other);
  await ns.veth("us", `v${link}`, other, "v0");
  await ns.ip("us", `addr add 192.0.${link}.1/24 dev v${link}`);
  await ns.ip(other, `addr add 192.0.${link}.2/24 dev v0`);
  const file = join(folder, `${other}.conf`);
  const control = join(folder, `${other}.ctl`);
  await writeFile(file, config);
  start(other, "bird", "-f", "-c", file, "-s", control);
  return control;
}

/** The agent in `us`, from a configuration file alone. Gives what its commands print. */
export async function agentFromFile(
  { folder, start }: BirdLab,
  config: string,
): Promise<(...args: string[]) => Promise<string>> {
  const file = join(folder, "bgp.yaml");
  await writeFile(file, config);
  const socket = `--admin-socket=${join(folder, "admin.sock")}`;
  start("us", PODROUTER, "run", `--config=${file}`, socket, `--state-dir=${folder}/state`);
  return async (...args) => (await run(PODROUTER, [...args, socket])).stdout;
}
