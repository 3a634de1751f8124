/**
 * The agent by itself: `podrouter run --nodes-file`, from the bundle as in the image, two of them
 * side by side, each in its namespace with its own socket and state. Only the last test has an API
 * server, to see that the bundle can talk to one.
 */
import assert from "node:assert/strict";
import { mkdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { stringify } from "yaml";
import { keptFolder } from "../../packages/netlink-ts/test/support/keeper.ts";
import type { AgentStatus } from "../../src/agent/admin-protocol.ts";
import { type ClusterNode, nodeObject } from "../support/cluster.ts";
import type { PeerRow, RibRow } from "../support/cluster-checks.ts";
import { Namespaces, namespacesUnavailable } from "../support/namespaces.ts";
import { PODROUTER } from "../support/program.ts";
import { requireReal } from "../support/real.ts";
import { type CommandResult, Daemon, must, run, until } from "../support/shell.ts";

const ROOT = join(import.meta.dirname, "..", "..");
const ONE: ClusterNode = { name: "one", address: "192.0.2.1", podCidr: "10.1.0.0/24" };
const TWO: ClusterNode = { name: "two", address: "192.0.2.2", podCidr: "10.2.0.0/24" };
/** Both share the machine's files, so neither may write what is there once for a machine. */
const NO_PODS = ["--enable-cni=false", "--enable-pod-egress=false"];
const route = (node: ClusterNode, cidr: string = node.podCidr): string =>
  `${cidr} via ${node.address} dev eth0 proto 17`;

class Pair {
  readonly ns = new Namespaces();
  readonly agents: Daemon[] = [];
  folder = "";
  /** Of the agents that are started from now on. */
  env: Record<string, string> = {};

  get nodesFile(): string {
    return `--nodes-file=${join(this.folder, "nodes.yaml")}`;
  }

  async build(): Promise<void> {
    this.folder = keptFolder();
    await must(process.execPath, [
      join(ROOT, "scripts", "bundle.ts"),
      "--out",
      join(this.folder, "dist"),
    ]);
    for (const node of [ONE, TWO]) await this.ns.add(node.name);
    await this.ns.veth("one", "eth0", "two", "eth0");
    for (const node of [ONE, TWO]) {
      await this.ns.ip(node.name, `addr add ${node.address}/24 dev eth0`);
    }
  }

  /** Renamed into place, as editors and ConfigMaps do. */
  async writeNodes(nodes: readonly ClusterNode[]): Promise<void> {
    const items = nodes.map(nodeObject);
    const file = join(this.folder, "nodes.yaml");
    await writeFile(`${file}.new`, stringify({ apiVersion: "v1", kind: "List", items }));
    await rename(`${file}.new`, file);
  }

  start(node: ClusterNode, ...extra: string[]): Daemon {
    const args = [
      ...["netns", "exec", this.ns.name(node.name)],
      ...[process.execPath, join(this.folder, "dist", "podrouter.cjs"), "run"],
      ...(extra.some((flag) => flag.startsWith("--kubeconfig")) ? [] : [this.nodesFile]),
      ...NO_PODS,
      `--hostname-override=${node.name}`,
      `--state-dir=${join(this.folder, node.name)}`,
      this.#socket(node),
      ...extra,
    ];
    const agent = new Daemon(node.name, "ip", args, { env: this.env });
    this.agents.push(agent);
    return agent;
  }

  async json<T>(node: ClusterNode, ...args: string[]): Promise<T> {
    return JSON.parse(await must(PODROUTER, [...args, "-o", "json", this.#socket(node)])) as T;
  }

  async hasRoute(node: ClusterNode, line: string): Promise<boolean> {
    const text = await this.ns.ip(node.name, "route show table main");
    return text.split("\n").some((found) => found.trim() === line);
  }

  /** A page of the agent's HTTP server, asked for on the node itself. */
  page(node: ClusterNode, url: string): Promise<CommandResult> {
    const code = `const r = await fetch(${JSON.stringify(url)}); console.log(r.status, await r.text())`;
    return run("ip", [
      ...["netns", "exec", this.ns.name(node.name), process.execPath],
      ...["--input-type=module", "-e", code],
    ]);
  }

  async remove(): Promise<void> {
    await Promise.all(this.agents.map((agent) => agent.stop()));
    await this.ns.remove();
    if (this.folder !== "") await rm(this.folder, { recursive: true });
  }

  #socket(node: ClusterNode): string {
    return `--admin-socket=${join(this.folder, `${node.name}.sock`)}`;
  }
}

async function pair(t: TestContext): Promise<Pair | undefined> {
  const reason = await namespacesUnavailable();
  if (!requireReal(t, reason === undefined, reason ?? "")) return undefined;
  const made = new Pair();
  t.after(() => made.remove());
  await made.build();
  await made.writeNodes([ONE, TWO]);
  return made;
}

/**
 * Why a session ended: as the log tells it, for within a second `peers` tells of the next dial,
 * which is refused.
 */
async function endedFor(agent: Daemon, reason: RegExp): Promise<void> {
  await until(
    () => `the log tells ${reason}: ${agent.output}`,
    () => reason.test(agent.output),
  );
}

async function routed(made: Pair): Promise<void> {
  await until("both are routed", async () => {
    return (await made.hasRoute(ONE, route(TWO))) && (await made.hasRoute(TWO, route(ONE)));
  });
}

test("the file of Nodes is followed, and probes and metrics tell of it", async (t) => {
  const made = await pair(t);
  if (made === undefined) return;
  const [one] = [made.start(ONE, "--metrics-port=8080"), made.start(TWO)];
  await routed(made);
  const status = await until("it is ready", async () => {
    const now = await made.json<AgentStatus>(ONE, "status");
    return now.ready && now;
  });
  const { address: routerId } = ONE;
  assert.deepEqual(status.bgp, { as: 64512, routerId, peers: 1, peersUp: 1 });
  assert.equal(status.routesInstalled, 1);
  const ready = await made.page(ONE, "http://127.0.0.1:20244/readyz");
  assert.match(
    ready.stdout,
    /^200 \[\+\]nodes ok\n\[\+\]bgp ok\n\[\+\]routes ok\n\[\+\]ipsets ok\n/,
  );
  assert.equal((await made.page(ONE, "http://127.0.0.1:20244/healthz")).stdout, "200 OK\n\n");
  const metrics = (await made.page(ONE, "http://127.0.0.1:8080/metrics")).stdout;
  assert.match(metrics, /^kube_router_host_routes_synced 1$/m);
  assert.match(metrics, /^podrouter_bgp_session_up\{peer="two",address="192\.0\.2\.2"\} 1$/m);

  await made.writeNodes([ONE, { ...TWO, podCidr: "10.3.0.0/24" }]);
  await until("the new CIDR is routed", () => made.hasRoute(ONE, route(TWO, "10.3.0.0/24")));
  await until("the old one is not", async () => !(await made.hasRoute(ONE, route(TWO))));
  const [peer] = await made.json<PeerRow[]>(ONE, "peers");
  assert.deepEqual([peer?.established, peer?.flaps], [1, 0], "no session was disturbed");

  await made.writeNodes([TWO]);
  await until("without an own Node it is not ready", async () => {
    const status = await made.json<AgentStatus>(ONE, "status");
    return !status.ready && status.conditions.some(({ name }) => name === "own-node-missing one");
  });
  assert.deepEqual(await made.json<PeerRow[]>(ONE, "peers"), []);
  assert.deepEqual(await made.json<RibRow[]>(ONE, "rib"), []);
  assert.match((await made.page(ONE, "http://127.0.0.1:20244/readyz")).stdout, /^503 /);
  await made.writeNodes([ONE, TWO]);
  await routed(made);
  assert.ok(one.running);
});

test("with graceful restart a stop keeps traffic flowing; without it peers forget", async (t) => {
  const made = await pair(t);
  if (made === undefined) return;
  const one = made.start(ONE);
  let two = made.start(TWO);
  await routed(made);
  assert.equal(await two.stop("SIGTERM"), 0);
  const kept = await until("the path is stale", async () => {
    const rib = await made.json<RibRow[]>(ONE, "rib", TWO.podCidr);
    return rib[0]?.stale === true && rib;
  });
  assert.equal(kept[0]?.nextHop, TWO.address);
  await endedFor(one, /"reason":"closed by peer","msg":"session ended"/);
  assert.ok(await made.hasRoute(ONE, route(TWO)));
  assert.ok(await made.hasRoute(TWO, route(ONE)), "its own routes stay as well");

  two = made.start(TWO, "--bgp-graceful-restart=false");
  await until("the path is fresh", async () => {
    const rib = await made.json<RibRow[]>(ONE, "rib");
    return rib.some((row) => row.prefix === TWO.podCidr && !row.stale);
  });
  assert.equal(await two.stop("SIGINT"), 0);
  await until("the route is gone", async () => !(await made.hasRoute(ONE, route(TWO))));
  await endedFor(one, /"reason":"[^"]*administrative shutdown[^}]*"msg":"session ended"/i);
  assert.ok(await made.hasRoute(TWO, route(ONE)), "what it leaves behind forwards on");
});

test("a signal to stop that comes again and again does not cut the end short", async (t) => {
  const made = await pair(t);
  if (made === undefined) return;
  made.start(ONE);
  const two = made.start(TWO);
  await routed(made);
  for (let turn = 0; turn < 20; turn++) {
    two.child.kill(turn % 3 === 0 ? "SIGINT" : "SIGTERM");
    await sleep(1);
  }
  assert.equal(await two.exited, 0);
  assert.match(two.output, /"msg":"agent stopped"/);
});

test("a program that hangs holds up no good-bye to the peers", async (t) => {
  const made = await pair(t);
  if (made === undefined) return;
  const one = made.start(ONE);
  const programs = join(made.folder, "bin");
  await mkdir(programs);
  // As where somebody else has the lock of iptables for long.
  for (const name of ["iptables", "iptables-nft", "iptables-legacy"]) {
    await writeFile(join(programs, name), "#!/bin/sh\nexec sleep 14\n", { mode: 0o755 });
  }
  made.env = { PATH: `${programs}:${process.env["PATH"]}` };
  const two = made.start(TWO, "--enable-pod-egress=true", "--bgp-graceful-restart=false");
  await routed(made);
  two.child.kill("SIGTERM");
  await endedFor(one, /"reason":"[^"]*administrative shutdown[^}]*"msg":"session ended"/i);
  assert.equal(await two.exited, 0);
});

test("a killed agent's socket is taken over, a living one's is not", async (t) => {
  const made = await pair(t);
  if (made === undefined) return;
  const first = made.start(ONE);
  made.start(TWO);
  await routed(made);
  await first.stop("SIGKILL");
  const second = made.start(ONE);
  await until("it answers", async () => {
    const status = await made.json<AgentStatus>(ONE, "status");
    return status.pid === second.child.pid;
  });
  const third = made.start(ONE);
  assert.equal(await third.exited, 1);
  assert.match(third.output, /another agent runs here already: it answers on .*one\.sock/);
  assert.ok(second.running);
});

test("the bundle follows an API server over a kubeconfig with a token", async (t) => {
  const made = await pair(t);
  if (made === undefined) return;
  const kubeconfig = join(made.folder, "kubeconfig");
  const api = new Daemon("api", "ip", [
    ...["netns", "exec", made.ns.name("one"), process.execPath],
    join(ROOT, "test", "support", "api-server", "main.ts"),
    ...["--listen", "127.0.0.1:6443", "--token", "sesame", "--kubeconfig-out", kubeconfig],
    ...["--tls", join(ROOT, "test", "fixtures", "tls")],
    ...["--nodes", join(made.folder, "nodes.yaml")],
  ]);
  made.agents.push(api);
  await until("the API server listens", () => api.output.includes("2 Nodes"));
  const one = made.start(ONE, `--kubeconfig=${kubeconfig}`);
  made.start(TWO);
  await routed(made);
  assert.ok(!one.output.includes("sesame"));
});
