/** The steps of the demo. Each shows what an operator would see and checks what must hold. */
import type { Cluster, ClusterNode } from "../../test/support/cluster.ts";
import { nodeObject } from "../../test/support/cluster.ts";
import { NODE_IPS, POD_SUBNETS } from "../../test/support/cluster-checks.ts";
import { run, until } from "../../test/support/shell.ts";
import { Capture, decodeWithTcpdump, matchSeed, sideBySide } from "./exchange.ts";
import type { Report } from "./report.ts";
import { RouteWatch } from "./route-watch.ts";

const NEW_CIDR = "10.233.68.0/24";

interface RibRow {
  readonly prefix: string;
}

interface PeerRow {
  readonly name: string;
  readonly state: string;
}

const routeLine = (node: ClusterNode, cidr = node.podCidr) =>
  `${cidr} via ${node.address} dev enp1s0 proto 17`;

/** Steps 1 and 2: the network, the API server, the pods' addresses, one agent a node. */
export async function startAll(cluster: Cluster, report: Report): Promise<void> {
  report.step("three nodes on one bridge, and the API server that knows them");
  await cluster.build();
  report.note("node1 192.168.50.50, node2 .51, node3 .52 on enp1s0");
  await cluster.startApi();
  report.note("API server on 192.168.50.1:6443 serves Nodes node1, node2, node3");
  for (const node of cluster.nodes) await cluster.addPod(node.name, node.podCidr);
  report.note("one pod address a node, on kube-bridge: 10.233.64.2, 10.233.65.2, 10.233.66.2");

  report.step("one agent a node, as the DaemonSet starts it");
  const command = `podrouter ${cluster.agentArguments()("node1").join(" ")}`;
  report.note(`NODE_NAME=node1 ${command}`);
  for (const node of cluster.nodes) cluster.startAgent(node.name);
  await meshIsUp(cluster, report);
  await routedEverywhere(cluster, report);
  await setsAreFull(cluster, report);
}

async function meshIsUp(cluster: Cluster, report: Report): Promise<void> {
  const begun = performance.now();
  for (const node of cluster.nodes) {
    await until(`all sessions of ${node.name} are established`, async () => {
      const peers = await cluster.podrouterJson<PeerRow[]>(node.name, "peers");
      const up = peers.filter((peer) => peer.state === "Established").length;
      return up === cluster.nodes.length - 1;
    });
  }
  const sessions = (cluster.nodes.length * (cluster.nodes.length - 1)) / 2;
  const ms = (performance.now() - begun).toFixed(0);
  report.check(
    `full mesh: ${sessions} iBGP sessions are Established`,
    true,
    `${ms} ms after start`,
  );
}

async function routedEverywhere(cluster: Cluster, report: Report): Promise<void> {
  for (const node of cluster.nodes) {
    const others = cluster.nodes.filter((other) => other !== node);
    await until(`${node.name} routes the other nodes' pods`, async () => {
      const routes = await cluster.routes(node.name);
      return others.every((other) => routes.includes(routeLine(other)));
    });
  }
  report.check("every node routes every other node's pod CIDR: proto 17, main table", true);
}

async function setsAreFull(cluster: Cluster, report: Report): Promise<void> {
  const subnets = cluster.nodes.map((node) => `${node.podCidr} timeout 0`).sort();
  const ips = cluster.nodes.map((node) => `${node.address} timeout 0`).sort();
  for (const node of cluster.nodes) {
    await until(`the sets of ${node.name} hold every node`, async () => {
      const have = await Promise.all(
        [POD_SUBNETS, NODE_IPS].map((set) => cluster.setMembers(node.name, set)),
      );
      return JSON.stringify(have) === JSON.stringify([subnets, ips]);
    });
  }
  report.check(`${POD_SUBNETS} and ${NODE_IPS} hold every node, own included`, true);
}

/** Step 3: what an operator looks at, and a ping between pods. */
export async function lookAround(cluster: Cluster, report: Report): Promise<void> {
  report.step("what an operator sees on node1");
  const inNode1 = (...command: string[]) =>
    cluster.namespaces.exec("node1", command[0]!, ...command.slice(1));
  report.terminal("node1", "ip route", await inNode1("ip", "route"));
  report.terminal("node1", "ipset list", await inNode1("ipset", "list"));
  for (const command of ["peers", "peers node2", "rib"]) {
    const { stdout } = await cluster.podrouter("node1", ...command.split(" "));
    report.terminal("node1", `podrouter ${command}`, stdout);
  }
  for (const node of cluster.nodes) {
    for (const other of cluster.nodes) {
      if (node === other) continue;
      await ping(cluster, report, node.name, other.podCidr.replace(/0\/24$/, "2"));
    }
  }
}

async function ping(cluster: Cluster, report: Report, from: string, to: string): Promise<void> {
  const pod = cluster.namespaces.name(`pod-${from}`);
  const result = await run("ip", ["netns", "exec", pod, "ping", "-c", "1", "-W", "2", to]);
  const time = /time=(\S+ ms)/.exec(result.stdout)?.[1] ?? "no answer";
  report.check(`ping from a pod of ${from} to ${to}`, result.status === 0, time);
}

/** Step 4: Node node3 goes, and comes back with another pod CIDR. */
export async function deleteAndReturn(cluster: Cluster, report: Report): Promise<void> {
  const node3 = cluster.nodes[2]!;
  const watchers = ["node1", "node2"] as const;
  report.step("Node node3 is deleted, then registered again with another pod CIDR");
  const watches = watchers.map((node) => new RouteWatch(cluster, node));
  try {
    const pids = [...cluster.agents.values()].map((agent) => agent.child.pid);
    const { sentAt } = await cluster.api("DELETE", "/api/v1/nodes/node3");
    for (const [index, node] of watchers.entries()) {
      const event = await watches[index]!.change(node3.podCidr, true, sentAt);
      const ms = (event.at - sentAt).toFixed(1);
      report.check(
        `${node}: the route ${node3.podCidr} is gone`,
        true,
        `${ms} ms after the API's delete`,
      );
      await goneEverywhere(cluster, report, node, node3);
    }
    report.terminal("node1", "ip route", await cluster.namespaces.exec("node1", "ip", "route"));

    const returned = { ...node3, podCidr: NEW_CIDR };
    await cluster.renumberPod("node3", node3.podCidr, NEW_CIDR);
    const created = await cluster.api("POST", "/api/v1/nodes", nodeObject(returned));
    for (const [index, node] of watchers.entries()) {
      const event = await watches[index]!.change(NEW_CIDR, false, created.sentAt);
      const ms = (event.at - created.sentAt).toFixed(1);
      const exact = event.text === routeLine(node3, NEW_CIDR);
      report.check(`${node}: ${event.text}`, exact, `${ms} ms after the API's create`);
      const members = await cluster.setMembers(node, POD_SUBNETS);
      report.check(
        `${node}: ${POD_SUBNETS} has ${NEW_CIDR}`,
        members?.includes(`${NEW_CIDR} timeout 0`) === true,
      );
    }
    await until("node3 routes the others again", async () => {
      const routes = await cluster.routes("node3");
      return cluster.nodes.slice(0, 2).every((node) => routes.includes(routeLine(node)));
    });
    await ping(cluster, report, "node1", "10.233.68.2");
    await ping(cluster, report, "node3", "10.233.64.2");
    const now = [...cluster.agents.values()].map((agent) => (agent.running ? agent.child.pid : 0));
    report.check("no agent was restarted", JSON.stringify(pids) === JSON.stringify(now));
  } finally {
    await Promise.all(watches.map((watch) => watch.stop()));
  }
}

async function goneEverywhere(
  cluster: Cluster,
  report: Report,
  node: string,
  gone: ClusterNode,
): Promise<void> {
  await until(`${node}: RIB and sets without ${gone.name}`, async () => {
    const rib = await cluster.podrouterJson<RibRow[]>(node, "rib");
    const subnets = await cluster.setMembers(node, POD_SUBNETS);
    const ips = await cluster.setMembers(node, NODE_IPS);
    return (
      rib.every((row) => row.prefix !== gone.podCidr) &&
      subnets?.includes(`${gone.podCidr} timeout 0`) === false &&
      ips?.includes(`${gone.address} timeout 0`) === false
    );
  });
  report.check(`${node}: ${gone.podCidr} is out of the RIB, and both set members are gone`, true);
}

/** Step 5: node3's agent is remade under tcpdump on node1. */
export async function restartUnderTcpdump(cluster: Cluster, report: Report): Promise<void> {
  report.step("node3's agent restarts under tcpdump on node1");
  const agent = cluster.agents.get("node3")!;
  const watch = new RouteWatch(cluster, "node1");
  const capture = new Capture(cluster);
  const begun = performance.timeOrigin + performance.now();
  try {
    await capture.started();
    await agent.stop();
    report.note("node3's agent has ended (SIGTERM); its routes stay, as graceful restart wants");
    cluster.startAgent("node3");
    await until("node3 has both sessions and its routes again", async () => {
      const peers = await cluster.podrouterJson<PeerRow[]>("node3", "peers");
      const routes = await cluster.routes("node3");
      return (
        peers.length === 2 &&
        peers.every((peer) => peer.state === "Established") &&
        cluster.nodes.slice(0, 2).every((node) => routes.includes(routeLine(node)))
      );
    });
    const messages = await until("the whole exchange is captured", async () => {
      const seen = await capture.soFar();
      return matchSeed(seen).every((match) => match.ours !== undefined) ? seen : undefined;
    }).catch(() => capture.soFar());
    await capture.stop();
    const matched = matchSeed(messages);
    const decoded = await decodeWithTcpdump(capture.file);
    report.print(sideBySide(matched, decoded));
    for (const { seed, ours } of matched) {
      report.check(
        `on the wire: ${seed.from}'s ${seed.kind} of ${seed.hex.length / 2} bytes is the seed's`,
        ours !== undefined,
      );
    }
    const flapped = watch.seen(NEW_CIDR, true, begun);
    report.check("node1 kept the route to node3's pods through the restart", flapped === undefined);
    await ping(cluster, report, "node1", "10.233.68.2");
  } finally {
    await capture.stop();
    await watch.stop();
  }
}
