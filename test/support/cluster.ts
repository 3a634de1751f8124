/**
 * A small cluster of real parts on one machine: a namespace a node on one bridge, an embedded API
 * server, and one real agent process a node, as a DaemonSet would start it.
 *
 *   fabric  bridge br0 192.168.50.1/24 and fd00:192:168:50::1/64, API server on :6443
 *   nodeN   enp1s0 192.168.50.(49+N)/24, kube-bridge with the first address of the pod CIDR
 *   podN    eth0, an address of the node's pod CIDR, default route through the node
 *
 * Where all nodes have an IPv6 address only, there is no IPv4 on the bridge at all. Nodes with an
 * address in another /24 (and /64) are on a bridge of their own, and the fabric is the router
 * between them; it has a route to no pod.
 */
import { access, mkdir, rm, symlink, writeFile } from "node:fs/promises";
import { isIPv6 } from "node:net";
import { join } from "node:path";
import { keptFolder } from "../../packages/netlink-ts/test/support/keeper.ts";
import { CniRuntime } from "./cni-runtime.ts";
import { Namespaces } from "./namespaces.ts";
import { PODROUTER, PODROUTER_CNI } from "./program.ts";
import { type CommandResult, Daemon, run, until } from "./shell.ts";

const ROOT = join(import.meta.dirname, "..", "..");
const NODE = join(ROOT, "node_modules", "node", "bin", "node");
const API_SERVER = join(ROOT, "test", "support", "api-server", "main.ts");
const API_ADDRESS = "192.168.50.1";
const API_ADDRESS6 = "fd00:192:168:50::1";
const API_PORT = 6443;

/** Runs inside the namespace: argv = URL, method, content type, body. */
const API_CLIENT = `
const [url, method, type, body] = process.argv.slice(1);
const now = () => performance.timeOrigin + performance.now();
await fetch(new URL("/version", url)).then((warm) => warm.text());
const sentAt = now();
const response = await fetch(url, { method, headers: { "content-type": type }, body: body || undefined });
const answeredAt = now();
const text = await response.text();
if (!response.ok) { process.stderr.write(response.status + " " + text); process.exit(1); }
process.stdout.write(JSON.stringify({ sentAt, answeredAt, body: JSON.parse(text) }));
`;

export interface ApiAnswer {
  readonly sentAt: number;
  readonly answeredAt: number;
  readonly body: unknown;
}

export interface ClusterNode {
  readonly name: string;
  /** Of IPv4, unless the node has IPv6 only. */
  readonly address: string;
  readonly podCidr: string;
  /** With both the node has both families. */
  readonly address6?: string;
  readonly podCidr6?: string;
}

/** The seed's three nodes. */
export const SEED_NODES: readonly ClusterNode[] = [
  { name: "node1", address: "192.168.50.50", podCidr: "10.233.64.0/24" },
  { name: "node2", address: "192.168.50.51", podCidr: "10.233.65.0/24" },
  { name: "node3", address: "192.168.50.52", podCidr: "10.233.66.0/24" },
];

/** A Node object as kubelet registers it. */
export function nodeObject(node: ClusterNode): Record<string, unknown> {
  return {
    apiVersion: "v1",
    kind: "Node",
    metadata: { name: node.name, labels: { "kubernetes.io/hostname": node.name } },
    spec: { podCIDR: node.podCidr, podCIDRs: [node.podCidr, ...optional(node.podCidr6)] },
    status: {
      addresses: [
        ...[node.address, ...optional(node.address6)].map((address) => ({
          type: "InternalIP",
          address,
        })),
        { type: "Hostname", address: node.name },
      ],
    },
  };
}

/** The first address of the node's subnet. */
function gatewayOf(address: string): string {
  return isIPv6(address) ? address.replace(/::.*$/, "::1") : address.replace(/\d+$/, "1");
}

function optional<T>(value: T | undefined): readonly T[] {
  return value === undefined ? [] : [value];
}

export class Cluster {
  readonly nodes: readonly ClusterNode[];
  readonly namespaces = new Namespaces();
  /** The agent of each node that was started last. */
  readonly agents = new Map<string, Daemon>();
  readonly #started: Daemon[] = [];
  readonly #onlyIpv6: boolean;
  #folder = "";
  #api: Daemon | undefined;

  constructor(nodes: readonly ClusterNode[] = SEED_NODES) {
    this.nodes = nodes;
    this.#onlyIpv6 = nodes.every(({ address }) => isIPv6(address));
  }

  /** Where the kubeconfig, sockets and state folders of this cluster are. */
  get folder(): string {
    return this.#folder;
  }

  get kubeconfig(): string {
    return join(this.#folder, "kubeconfig");
  }

  socket(node: string): string {
    return join(this.#folder, `${node}.sock`);
  }

  /** The CNI configuration of a node, alone in its folder. */
  cniConfFile(node: string): string {
    return join(this.#folder, `${node}.cni`, "10-kuberouter.conflist");
  }

  /** A container runtime on a node; its state is kept for the life of the cluster. */
  runtime(node: string): Promise<CniRuntime> {
    return CniRuntime.make({
      namespace: this.namespaces.name(node),
      confFile: this.cniConfFile(node),
      binFolder: this.cniBinFolder,
      stateFolder: join(this.#folder, `${node}.runtime`),
    });
  }

  /** Where the agent of a node keeps the leases of podrouter-cni. */
  leasesFile(node: string): string {
    return join(this.#folder, `${node}.state`, "pod-leases.json");
  }

  /** Where the agent of a node keeps the Nodes for its next start. */
  savedNodesFile(node: string): string {
    return join(this.#folder, `${node}.state`, "nodes.json");
  }

  /** Where the nodes' CNI plugins are: Debian's, or programs that only have their names. */
  get cniBinFolder(): string {
    return join(this.#folder, "cni-bin");
  }

  /** Where the API server listens, as in a URL. */
  get #apiAt(): string {
    return `${this.#onlyIpv6 ? `[${API_ADDRESS6}]` : API_ADDRESS}:${API_PORT}`;
  }

  /** Namespaces, links, addresses; no process yet. */
  async build(): Promise<void> {
    this.#folder = keptFolder();
    await linkPlugins(this.cniBinFolder);
    const ns = this.namespaces;
    await ns.add("fabric");
    await ns.ip("fabric", "link add br0 type bridge");
    if (!this.#onlyIpv6) await ns.ip("fabric", `addr add ${API_ADDRESS}/24 dev br0`);
    await ns.ip("fabric", `addr add ${API_ADDRESS6}/64 dev br0 nodad`);
    await ns.ip("fabric", "link set br0 up");
    const bridges = new Map<string, string>([[this.#onlyIpv6 ? API_ADDRESS6 : API_ADDRESS, "br0"]]);
    for (const [index, node] of this.nodes.entries()) {
      await ns.add(node.name);
      await ns.veth(node.name, "enp1s0", "fabric", `port${index}`);
      await ns.ip("fabric", `link set port${index} master ${await this.#bridge(node, bridges)}`);
      for (const address of [node.address, ...optional(node.address6)]) {
        const six = isIPv6(address);
        await ns.ip(
          node.name,
          `addr add ${address}${six ? "/64" : "/24"} dev enp1s0${six ? " nodad" : ""}`,
        );
        await ns.ip(node.name, `route add default via ${gatewayOf(address)}`);
      }
      await ns.sysctl(node.name, "net.ipv4.ip_forward", "1");
    }
  }

  /** Of the node's subnet; made, and the fabric a router, when it is not there yet. */
  async #bridge(node: ClusterNode, bridges: Map<string, string>): Promise<string> {
    const key = gatewayOf(node.address);
    const known = bridges.get(key);
    if (known !== undefined) return known;
    const name = `br${bridges.size}`;
    bridges.set(key, name);
    const ns = this.namespaces;
    await ns.ip("fabric", `link add ${name} type bridge`);
    for (const address of [node.address, ...optional(node.address6)]) {
      const six = isIPv6(address);
      const own = `${gatewayOf(address)}${six ? "/64" : "/24"}`;
      await ns.ip("fabric", `addr add ${own} dev ${name}${six ? " nodad" : ""}`);
    }
    await ns.ip("fabric", `link set ${name} up`);
    await ns.sysctl("fabric", "net.ipv4.ip_forward", "1");
    await ns.sysctl("fabric", "net.ipv6.conf.all.forwarding", "1");
    return name;
  }

  async startApi(nodes: readonly ClusterNode[] = this.nodes): Promise<void> {
    const file = join(this.#folder, "nodes.json");
    await writeFile(
      file,
      JSON.stringify({ kind: "List", apiVersion: "v1", items: nodes.map(nodeObject) }),
    );
    this.#api = new Daemon("api-server", "ip", [
      "netns",
      "exec",
      this.namespaces.name("fabric"),
      NODE,
      API_SERVER,
      "--listen",
      this.#apiAt,
      "--nodes",
      file,
      "--kubeconfig-out",
      this.kubeconfig,
    ]);
    await until("the API server answers", async () => {
      if (this.#api?.running === false) throw new Error(this.#api.output);
      return (await this.api("GET", "/version").catch(() => undefined)) !== undefined;
    });
  }

  async stopApi(): Promise<void> {
    await this.#api?.stop();
  }

  /**
   * One request to the API server, made in the fabric's namespace. `sentAt` and `answeredAt` are
   * ms since the epoch, with fractions: what a latency is measured from.
   */
  async api(method: string, path: string, body?: unknown): Promise<ApiAnswer> {
    const type = method === "PATCH" ? "application/merge-patch+json" : "application/json";
    const text = await this.namespaces.exec(
      "fabric",
      NODE,
      "--input-type=module",
      "-e",
      API_CLIENT,
      "--",
      `http://${this.#apiAt}${path}`,
      method,
      type,
      body === undefined ? "" : JSON.stringify(body),
    );
    return JSON.parse(text) as ApiAnswer;
  }

  /** Arguments of `podrouter run` for a node, as the DaemonSet gives them. */
  agentArguments(extra: readonly string[] = []): (node: string) => string[] {
    return (node) => [
      "run",
      `--kubeconfig=${this.kubeconfig}`,
      `--admin-socket=${this.socket(node)}`,
      `--state-dir=${join(this.#folder, `${node}.state`)}`,
      `--cni-conf-file=${this.cniConfFile(node)}`,
      `--cni-bin-dir=${this.cniBinFolder}`,
      `--cni-socket=${join(this.#folder, `${node}.cni.sock`)}`,
      ...extra,
    ];
  }

  /** Starts the agent of one node; identity comes from NODE_NAME as in the manifest. */
  startAgent(node: string, extra: readonly string[] = [], wrapper: readonly string[] = []): Daemon {
    const namespace = this.namespaces.name(node);
    const daemon = new Daemon(
      `podrouter ${node}`,
      "ip",
      ["netns", "exec", namespace, ...wrapper, PODROUTER, ...this.agentArguments(extra)(node)],
      { env: { NODE_NAME: node } },
    );
    this.agents.set(node, daemon);
    this.#started.push(daemon);
    return daemon;
  }

  /** A client command of a node: `podrouter peers`, as an operator types it there. */
  podrouter(node: string, ...args: string[]): Promise<CommandResult> {
    return run("ip", [
      "netns",
      "exec",
      this.namespaces.name(node),
      PODROUTER,
      ...args,
      `--admin-socket=${this.socket(node)}`,
    ]);
  }

  /** JSON of a client command. */
  async podrouterJson<T>(node: string, ...args: string[]): Promise<T> {
    const result = await this.podrouter(node, ...args, "-o", "json");
    if (result.status !== 0) throw new Error(result.stderr.trim());
    return JSON.parse(result.stdout) as T;
  }

  /**
   * A pod by hand, as the CNI bridge plugin makes it: kube-bridge with the first address of the
   * CIDR, a veth pair, the second address inside. Gives the pod's address.
   */
  async addPod(node: string, podCidr: string, label = `pod-${node}`): Promise<string> {
    const ns = this.namespaces;
    const base = podCidr.replace(/\.0\/24$/, "");
    const bridge = await run("ip", ["-n", ns.name(node), "link", "show", "kube-bridge"]);
    if (bridge.status !== 0) {
      await ns.ip(node, "link add kube-bridge type bridge");
      await ns.ip(node, "link set kube-bridge up");
    }
    await ns.ip(node, `addr replace ${base}.1/24 dev kube-bridge`);
    await ns.add(label);
    await ns.veth(label, "eth0", node, "vethpod");
    await ns.ip(node, "link set vethpod master kube-bridge");
    await ns.ip(label, `addr add ${base}.2/24 dev eth0`);
    await ns.ip(label, `route add default via ${base}.1`);
    return `${base}.2`;
  }

  /** Gives the pod and bridge of a node addresses of another pod CIDR. */
  async renumberPod(node: string, from: string, to: string): Promise<string> {
    const ns = this.namespaces;
    const [old, base] = [from.replace(/\.0\/24$/, ""), to.replace(/\.0\/24$/, "")];
    await ns.ip(node, `addr del ${old}.1/24 dev kube-bridge`);
    await ns.ip(node, `addr add ${base}.1/24 dev kube-bridge`);
    await ns.ip(`pod-${node}`, `addr flush dev eth0`);
    await ns.ip(`pod-${node}`, `addr add ${base}.2/24 dev eth0`);
    await ns.ip(`pod-${node}`, `route replace default via ${base}.1`);
    return `${base}.2`;
  }

  /**
   * Kernel routes of a node as `ip route` prints them, trimmed; of IPv6 where there is nothing else,
   * without what that has behind each of them.
   */
  async routes(node: string): Promise<readonly string[]> {
    const family = this.#onlyIpv6 ? "-6" : "-4";
    const text = await this.namespaces.ip(node, `${family} route show table main`);
    return text
      .split("\n")
      .map((line) => line.trim().replace(/ metric 1024 pref medium$/, ""))
      .filter((line) => line !== "");
  }

  /** Members of a set on a node, without the header; undefined when there is no such set. */
  async setMembers(node: string, set: string): Promise<readonly string[] | undefined> {
    const result = await run("ip", [
      "netns",
      "exec",
      this.namespaces.name(node),
      "ipset",
      "list",
      set,
    ]);
    if (result.status !== 0) return undefined;
    const lines = result.stdout.split("\n");
    return lines
      .slice(lines.indexOf("Members:") + 1)
      .filter((line) => line !== "")
      .sort();
  }

  /** Ends all processes, removes all namespaces and the folder. Safe at any point, and twice. */
  async remove(): Promise<void> {
    await Promise.all(this.#started.map((agent) => agent.stop()));
    this.agents.clear();
    await this.#api?.stop();
    await this.namespaces.remove();
    if (this.#folder !== "") await rm(this.#folder, { recursive: true, force: true });
  }
}

/** Debian's containernetworking-plugins. */
export const CNI_PLUGINS = "/usr/lib/cni";

/** A folder with the plugins that podrouter's configuration needs. */
async function linkPlugins(folder: string): Promise<void> {
  await mkdir(folder);
  for (const name of ["bridge", "ptp", "host-local", "portmap", "loopback"]) {
    const real = join(CNI_PLUGINS, name);
    const there = await access(real).then(
      () => true,
      () => false,
    );
    await symlink(there ? real : "/bin/false", join(folder, name));
  }
  await symlink(PODROUTER_CNI, join(folder, "podrouter-cni"));
}

/** What must be there to build a cluster; a sentence, or undefined when all is. */
export async function clusterUnavailable(): Promise<string | undefined> {
  for (const program of ["ip", "ipset", "tcpdump", "ping"]) {
    const found = await run("sh", ["-c", `command -v ${program}`]);
    if (found.status !== 0) return `the program ${program} is missing`;
  }
  return undefined;
}
