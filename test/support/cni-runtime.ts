/**
 * A container runtime, as far as pod networks go: reads the configuration list that the agent wrote
 * and calls the plugins for it as libcni does (CNI spec 1.0.0 §3 and §4): environment, the plugin's
 * configuration on standard input with name, version, the result of the plugin before and the
 * values for its capabilities; results and errors are parsed. Loopback comes first and by itself,
 * as containerd does it.
 *
 * Plugins run in the node's network namespace. What they keep on disk (/var/lib/cni, /run) is kept
 * in a folder of the node, mounted over the machine's in a mount namespace of each call.
 */
import { spawn } from "node:child_process";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";

export interface CniPod {
  readonly id: string;
  /** Path of its network namespace. */
  readonly netns: string;
  /** For plugins with the capability portMappings. */
  readonly ports?: readonly PortMapping[];
}

export interface PortMapping {
  readonly hostPort: number;
  readonly containerPort: number;
  readonly protocol: "tcp" | "udp";
}

export interface CniResult {
  readonly cniVersion: string;
  readonly interfaces?: readonly { readonly name: string; readonly sandbox?: string }[];
  readonly ips?: readonly { readonly address: string; readonly gateway?: string }[];
  readonly routes?: readonly { readonly dst: string; readonly gw?: string }[];
}

/** What a plugin says when it fails (spec §5). */
export class CniError extends Error {
  readonly code: number;

  constructor(what: string, code: number, message: string) {
    super(`${what}: ${code}: ${message}`);
    this.code = code;
  }
}

interface PluginConf {
  readonly type: string;
  readonly capabilities?: Readonly<Record<string, boolean>>;
}

interface Conflist {
  readonly cniVersion: string;
  readonly name: string;
  readonly plugins: readonly PluginConf[];
}

export interface CniRuntimeOptions {
  /** Full name of the node's network namespace. */
  readonly namespace: string;
  readonly confFile: string;
  readonly binFolder: string;
  /** Where leases and results are kept. */
  readonly stateFolder: string;
}

type Command = "ADD" | "CHECK" | "DEL";

/** As of real runtimes, minutes: a plugin that waits for its agent says so itself, much sooner. */
const CALL_MS_MAX = 120_000;
const INTERFACE = "eth0";
const LOOPBACK: Conflist = {
  cniVersion: "0.3.1",
  name: "cni-loopback",
  plugins: [{ type: "loopback" }],
};

/** Mounts the node's folders over the machine's, then becomes the plugin. */
const IN_NODE = [
  "set -e",
  "mount -t tmpfs tmpfs /var/lib",
  "mkdir /var/lib/cni",
  'mount --bind "$STATE/lib" /var/lib/cni',
  'mount --rbind /run/netns "$STATE/run/netns"',
  'mount --rbind "$STATE/run" /run',
  'exec "$0"',
].join("\n");

export class CniRuntime {
  readonly #options: CniRuntimeOptions;

  private constructor(options: CniRuntimeOptions) {
    this.#options = options;
  }

  static async make(options: CniRuntimeOptions): Promise<CniRuntime> {
    for (const folder of ["lib", "run/netns", "results"]) {
      await mkdir(join(options.stateFolder, folder), { recursive: true });
    }
    return new CniRuntime(options);
  }

  /** Marks an address as taken, for a pod that was made by hand; a lease as host-local writes it. */
  async reserve(network: string, address: string): Promise<void> {
    const folder = join(this.#options.stateFolder, "lib", "networks", network);
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, address), "by hand\r\neth0");
  }

  /** Connects a pod; after a failure what was done is undone, as runtimes do. */
  async add(pod: CniPod): Promise<CniResult> {
    try {
      await this.#run("ADD", LOOPBACK, pod, "lo");
      const list = await this.#list();
      const result = await this.#run("ADD", list, pod, INTERFACE);
      await writeFile(this.#resultPath(list, pod), JSON.stringify(result));
      return result;
    } catch (error) {
      await this.del(pod).catch(() => undefined);
      throw error;
    }
  }

  /** Fails when the pod is not connected as `add` said. */
  async check(pod: CniPod): Promise<void> {
    const list = await this.#list();
    for (const plugin of list.plugins) {
      await this.#call("CHECK", list, plugin, pod, INTERFACE, await this.#cached(list, pod));
    }
  }

  /** Disconnects a pod; done twice it does nothing the second time. */
  async del(pod: CniPod): Promise<void> {
    const list = await this.#list();
    const known = await this.#cached(list, pod);
    for (const plugin of list.plugins.toReversed()) {
      await this.#call("DEL", list, plugin, pod, INTERFACE, known);
    }
  }

  async #run(command: Command, list: Conflist, pod: CniPod, name: string): Promise<CniResult> {
    let result: CniResult | undefined;
    for (const plugin of list.plugins) {
      result = await this.#call(command, list, plugin, pod, name, result);
    }
    if (result === undefined) throw new Error("a list without plugins");
    return result;
  }

  async #call(
    command: Command,
    list: Conflist,
    plugin: PluginConf,
    pod: CniPod,
    name: string,
    before: CniResult | undefined,
  ): Promise<CniResult | undefined> {
    const { cniVersion } = list;
    const wantsPorts = plugin.capabilities?.["portMappings"] === true && pod.ports !== undefined;
    const input = JSON.stringify({
      ...plugin,
      cniVersion,
      name: list.name,
      ...(before === undefined ? {} : { prevResult: before }),
      ...(wantsPorts ? { runtimeConfig: { portMappings: pod.ports } } : {}),
    });
    const output = await this.#exec(
      plugin.type,
      {
        CNI_COMMAND: command,
        CNI_CONTAINERID: pod.id,
        CNI_NETNS: pod.netns,
        CNI_IFNAME: name,
        CNI_ARGS: `IgnoreUnknown=1;K8S_POD_NAME=${pod.id}`,
      },
      input,
    );
    return output.trim() === "" ? before : (JSON.parse(output) as CniResult);
  }

  async #exec(plugin: string, env: Record<string, string>, input: string): Promise<string> {
    const { namespace, binFolder, stateFolder } = this.#options;
    const program = join(binFolder, plugin);
    const child = spawn("ip", ["netns", "exec", namespace, "sh", "-c", IN_NODE, program], {
      env: { PATH: process.env["PATH"], STATE: stateFolder, CNI_PATH: binFolder, ...env },
      timeout: CALL_MS_MAX,
    });
    const streams = { stdout: "", stderr: "" };
    child.stdout.on("data", (chunk: Buffer) => (streams.stdout += chunk.toString()));
    child.stderr.on("data", (chunk: Buffer) => (streams.stderr += chunk.toString()));
    child.stdin.on("error", () => undefined);
    child.stdin.end(input);
    const status = await new Promise<number>((resolve) => {
      child.once("close", (code) => resolve(code ?? 124));
    });
    if (status === 0) return streams.stdout;
    throw cniError(`${env["CNI_COMMAND"]} ${plugin}`, status, streams);
  }

  async #list(): Promise<Conflist> {
    return JSON.parse(await readFile(this.#options.confFile, "utf8")) as Conflist;
  }

  async #cached(list: Conflist, pod: CniPod): Promise<CniResult | undefined> {
    const text = await readFile(this.#resultPath(list, pod), "utf8").catch(() => undefined);
    return text === undefined ? undefined : (JSON.parse(text) as CniResult);
  }

  #resultPath(list: Conflist, pod: CniPod): string {
    return join(this.#options.stateFolder, "results", `${list.name}-${pod.id}-${INTERFACE}`);
  }
}

function cniError(
  what: string,
  status: number,
  { stdout, stderr }: { readonly stdout: string; readonly stderr: string },
): Error {
  try {
    const said = JSON.parse(stdout) as { code: number; msg: string; details?: string };
    return new CniError(what, said.code, `${said.msg} ${said.details ?? ""}`.trim());
  } catch {
    return new Error(`${what}: exit ${status}: ${(stderr || stdout).trim()}`);
  }
}
