/**
 * A real agent in a namespace, and peers made of bytes in another one, in this process: for tests
 * of what hostile or broken peers can do to it over the kernel's TCP.
 *
 *   us  10.0.0.1 (agent, --config, dry run) ───── them  10.0.0.11, .12, … (raw peers), .99 (nobody)
 */
import { readdirSync, readFileSync } from "node:fs";
import { rm, writeFile } from "node:fs/promises";
import { request } from "node:http";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { keptFolder } from "../../packages/netlink-ts/test/support/keeper.ts";
import { Namespace } from "../../packages/netlink-ts/test/support/namespace.ts";
import { encodeKeepalive } from "../../src/bgp/message/keepalive.ts";
import type { OpenMessage } from "../../src/bgp/message/types.ts";
import { TcpTransport } from "../../src/bgp/session/tcp-transport.ts";
import type { PeerStatus } from "../../src/bgp/types.ts";
import { NamespaceProcess } from "./peers/process.ts";
import { PODROUTER } from "./program.ts";
import { openOf, RawPeer } from "./raw-peer.ts";
import { run, until } from "./shell.ts";
import { ip } from "./speakers.ts";

const METRICS_PORT = 9100;
export const PASSWORD = "t0p-s3cret";
export const AGENT_ADDRESS = "10.0.0.1";

/** How often it is written down how long the machine kept us and the agent from running. */
const LOST_LOOK_MS = 100;

export interface RobustnessPeer {
  readonly name: string;
  /** Of the peer's OPEN. */
  readonly holdSeconds: number;
  /** Further keys of its configuration: `, passive: true`; KEY is a file with a password. */
  readonly extra?: string;
  /** Changes of its OPEN. */
  readonly open?: Partial<OpenMessage>;
  /** It neither listens nor connects. */
  readonly absent?: boolean;
}

export class RobustnessLab {
  readonly folder: string;
  readonly raws = new Map<string, RawPeer>();
  readonly #t: TestContext;
  readonly #us: Namespace;
  readonly #them: Namespace;
  readonly #agent: NamespaceProcess;
  /** What the two main threads together had lost by then, ms. */
  readonly #lost: { readonly at: number; readonly ms: number }[] = [];
  #looks: NodeJS.Timeout | undefined;

  private constructor(t: TestContext, us: Namespace, them: Namespace, folder: string) {
    this.#t = t;
    this.#us = us;
    this.#them = them;
    this.folder = folder;
    this.#agent = new NamespaceProcess("podrouter", us.name);
  }

  /** Undefined where there can be no namespaces: the test is skipped then. */
  static async make(
    t: TestContext,
    peers: readonly RobustnessPeer[],
  ): Promise<RobustnessLab | undefined> {
    const us = Namespace.make(t);
    const them = us === undefined ? undefined : Namespace.make(t);
    if (us === undefined || them === undefined) return undefined;
    us.ip(`link add v0 type veth peer name v0 netns ${them.name}`);
    us.ip(`address add ${AGENT_ADDRESS}/24 dev v0`);
    us.ip("link set v0 up");
    them.ip("link set v0 up");
    const folder = keptFolder();
    const lab = new RobustnessLab(t, us, them, folder);
    t.after(async () => {
      clearInterval(lab.#looks);
      for (const raw of lab.raws.values()) raw.stop();
      await lab.#agent.stop();
      await rm(folder, { recursive: true });
    });
    them.ip("address add 10.0.0.99/24 dev v0");
    await lab.#start(peers);
    return lab;
  }

  raw(name: string): RawPeer {
    return this.raws.get(name)!;
  }

  /** Everything that the agent has written; the last 16 kB. */
  get log(): string {
    return this.#agent.output;
  }

  /** A field of /proc/PID/status of the agent, in bytes. */
  memory(field: "VmRSS" | "VmHWM"): number {
    const status = readFileSync(`/proc/${this.#pid}/status`, "utf8");
    return Number(new RegExp(`^${field}:\\s+(\\d+) kB`, "m").exec(status)?.[1]) * 1024;
  }

  /**
   * The longest silence of the agent on a peer's connection, in ms, less the time in it for which
   * the machine did not let the agent speak or us hear.
   */
  longestSilence(name: string): number {
    this.#noteLost();
    const times = this.raw(name).heard.map(({ at }) => at);
    const silences = times.slice(1).map((to, i) => {
      const from = times[i]!;
      const before = this.#lost.findLast(({ at }) => at <= from) ?? this.#lost[0]!;
      const after = this.#lost.find(({ at }) => at >= to) ?? this.#lost.at(-1)!;
      return to - from < LOST_LOOK_MS ? 0 : to - from - (after.ms - before.ms);
    });
    return Math.max(0, ...silences);
  }

  openFiles(): number {
    return readdirSync(`/proc/${this.#pid}/fd`).length;
  }

  /** The peer's status, asked for on the admin socket; and how long the answer took. */
  async ask(name: string): Promise<{ readonly status: PeerStatus; readonly ms: number }> {
    const began = performance.now();
    const text = await new Promise<string>((resolve, reject) => {
      const path = `/v1/peers/${name}`;
      request({ socketPath: this.#socket, path, agent: false }, (response) => {
        let body = "";
        response.on("data", (chunk: Buffer) => {
          body += chunk.toString();
        });
        response.on("end", () => resolve(body));
      })
        .on("error", reject)
        .end();
    });
    const ms = performance.now() - began;
    return { status: JSON.parse(text) as PeerStatus, ms };
  }

  async established(...names: string[]): Promise<void> {
    for (const name of names) {
      await until(`${name} is up`, async () => {
        return (await this.ask(name)).status.state === "Established";
      });
    }
  }

  /** Output of a command of the agent's program. */
  async client(...args: string[]): Promise<string> {
    const result = await run(PODROUTER, [...args, `--admin-socket=${this.#socket}`]);
    return result.stdout + result.stderr;
  }

  metrics(): Promise<string> {
    const url = `http://${AGENT_ADDRESS}:${METRICS_PORT}/metrics`;
    return this.outside(`process.stdout.write(await (await fetch("${url}")).text())`, "us");
  }

  /** One value of the metrics page, by the beginning of its line. */
  async metric(start: string): Promise<number> {
    const line = (await this.metrics()).split("\n").find((each) => each.startsWith(start));
    return Number(line?.slice(line.lastIndexOf(" ")) ?? Number.NaN);
  }

  /** Runs a module's text in a process of its own in one of the namespaces; what it printed. */
  async outside(text: string, where: "us" | "them" = "them"): Promise<string> {
    const namespace = where === "us" ? this.#us : this.#them;
    const node = [process.execPath, "--input-type=module", "-e", text];
    const result = await run("ip", ["netns", "exec", namespace.name, ...node]);
    if (result.status !== 0) throw new Error(result.stderr);
    return result.stdout;
  }

  get #socket(): string {
    return join(this.folder, "admin.sock");
  }

  get #pid(): number {
    return this.#agent.daemon.child.pid!;
  }

  async #start(peers: readonly RobustnessPeer[]): Promise<void> {
    const rows = peers.map((peer, index) => this.#add(peer, `10.0.0.${11 + index}`));
    const file = join(this.folder, "bgp.yaml");
    await writeFile(join(this.folder, "key"), `${PASSWORD}\n`);
    await writeFile(
      file,
      `global: { as: 64512, routerId: ${AGENT_ADDRESS}, listen: [{ address: ${AGENT_ADDRESS}, port: 179 }] }
peers:
${rows.join("\n")}
`,
    );
    this.#agent.start(PODROUTER, [
      "run",
      "--dry-run",
      `--config=${file}`,
      `--admin-socket=${this.#socket}`,
      `--state-dir=${this.folder}/state`,
      `--metrics-port=${METRICS_PORT}`,
    ]);
    await this.#agent.ready(async () => (await this.ask(peers[0]!.name)).status.name !== undefined);
    this.#noteLost();
    this.#looks = setInterval(() => this.#noteLost(), LOST_LOOK_MS);
  }

  #noteLost(): void {
    const ms = waitedMs(this.#pid) + waitedMs(process.pid);
    this.#lost.push({ at: performance.now(), ms });
  }

  /** Listens for the agent; its line of the configuration. */
  #add(peer: RobustnessPeer, text: string): string {
    const address = ip(text);
    this.#them.ip(`address add ${address}/24 dev v0`);
    const raw = new RawPeer(new TcpTransport(), address);
    raw.autoOpen = openOf(address, { holdSeconds: peer.holdSeconds, ...peer.open });
    if (peer.absent !== true) this.#them.enter(() => raw.listen());
    this.raws.set(peer.name, raw);
    // By itself, whatever it hears: UPDATEs to it put off the KEEPALIVEs that it could answer.
    const timer = setInterval(() => {
      if (raw.names.includes("KEEPALIVE")) raw.connection?.write([encodeKeepalive()]);
    }, 800);
    this.#t.after(() => clearInterval(timer));
    const extra = (peer.extra ?? "").replace("KEY", join(this.folder, "key"));
    const head = `name: ${peer.name}, address: ${address}, remoteAs: 64512`;
    return `  - { ${head}, routeReflectorClient: true${extra} }`;
  }
}

/** For how long a process's main thread would have run, and others did, ms. */
function waitedMs(pid: number): number {
  const schedstat = readFileSync(`/proc/${pid}/task/${pid}/schedstat`, "utf8");
  return Number(schedstat.split(" ")[1]) / 1e6;
}
