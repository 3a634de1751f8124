/** Pods of a cluster, made by the real CNI plugins from the configuration that the agents wrote. */
import { access } from "node:fs/promises";
import { isIPv6 } from "node:net";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { type Cluster, type ClusterNode, CNI_PLUGINS } from "./cluster.ts";
import { POD_SUBNETS, startedCluster } from "./cluster-checks.ts";
import type { CniPod, CniResult, CniRuntime, PortMapping } from "./cni-runtime.ts";
import { requireReal } from "./real.ts";
import { hasProgram, run, until } from "./shell.ts";

export interface Pod extends CniPod {
  /** Label of its namespace. */
  readonly label: string;
  readonly node: string;
  readonly result: CniResult;
  /** Without prefix length, in the order of the result. */
  readonly addresses: readonly string[];
}

/** Why pods cannot be made here, or undefined when they can. */
export async function pluginsUnavailable(): Promise<string | undefined> {
  const missing = await access(join(CNI_PLUGINS, "bridge")).then(
    () => undefined,
    () => "the CNI plugins (containernetworking-plugins) are missing",
  );
  if (missing !== undefined) return missing;
  return (await hasProgram("iptables")) ? undefined : "the program iptables is missing";
}

/** A running cluster whose nodes all have their CNI configuration and packet rules. */
export async function startedPodCluster(
  t: TestContext,
  options: { readonly nodes: readonly ClusterNode[]; readonly extra?: readonly string[] },
): Promise<{ readonly cluster: Cluster; readonly pods: Pods } | undefined> {
  const reason = await pluginsUnavailable();
  if (!requireReal(t, reason === undefined, reason ?? "")) return undefined;
  const cluster = await startedCluster(t, options);
  if (cluster === undefined) return undefined;
  for (const node of options.nodes) {
    await configured(cluster, node.name);
    await masquerades(cluster, node);
  }
  return { cluster, pods: new Pods(cluster) };
}

/** Waits until a node has its CNI configuration. */
export async function configured(cluster: Cluster, node: string): Promise<void> {
  await until(
    () => `the CNI configuration of ${node}: ${cluster.agents.get(node)?.output}`,
    () =>
      access(cluster.cniConfFile(node)).then(
        () => true,
        () => false,
      ),
    // The file is synced: on a disk that others write to, that alone took ten seconds once.
    30_000,
  );
}

/** Waits until a node has all its packet rules, for which its CNI configuration does not wait. */
async function masquerades(cluster: Cluster, node: ClusterNode): Promise<void> {
  for (const cidr of [node.podCidr, ...(node.podCidr6 === undefined ? [] : [node.podCidr6])]) {
    const iptables = isIPv6(cidr.split("/")[0]!) ? "ip6tables" : "iptables";
    const list = [iptables, "-t", "nat", "-S", "POSTROUTING"] as const;
    await until(
      () => `${iptables} of ${node.name}: ${cluster.agents.get(node.name)?.output}`,
      async () => (await cluster.namespaces.exec(node.name, ...list)).includes(POD_SUBNETS),
    );
  }
}

export class Pods {
  readonly #cluster: Cluster;
  #count = 0;

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
  }

  runtime(node: string): Promise<CniRuntime> {
    return this.#cluster.runtime(node);
  }

  /** A namespace with nothing in it, and the plugins called for it. */
  async add(node: string, ports?: readonly PortMapping[]): Promise<Pod> {
    const label = `pod${++this.#count}`;
    const { namespaces } = this.#cluster;
    await namespaces.add(label);
    await namespaces.ip(label, "link set lo down");
    const netns = `/run/netns/${namespaces.name(label)}`;
    const pod = { id: label, netns, ...(ports === undefined ? {} : { ports }) };
    const result = await (await this.runtime(node)).add(pod);
    const addresses = (result.ips ?? []).map(({ address }) => address.split("/")[0]!);
    return { ...pod, label, node, result, addresses };
  }

  async del(pod: Pod): Promise<void> {
    await (await this.runtime(pod.node)).del(pod);
  }

  async check(pod: Pod): Promise<void> {
    await (await this.runtime(pod.node)).check(pod);
  }

  /** Whether an address answers a pod or node within `waitSeconds`, a fraction too. */
  async ping(from: string, to: string, waitSeconds = 2): Promise<boolean> {
    const inside = ["netns", "exec", this.#cluster.namespaces.name(from)];
    const once = ["ping", "-c", "1", "-W", `${waitSeconds}`, to];
    return (await run("ip", [...inside, ...once])).status === 0;
  }
}
