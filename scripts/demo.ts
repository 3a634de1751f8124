/**
 * `make demo`: the main job on one machine, shown as an operator would look at it and checked step
 * by step. Three nodes in network namespaces, an embedded API server, three real agents. Exit code
 * 0 only when every check held; whatever happens, nothing is left behind (`--keep` excepted).
 */
import { spawnSync } from "node:child_process";
import { sweepDead } from "../packages/netlink-ts/test/support/keeper.ts";
import { Cluster, clusterUnavailable } from "../test/support/cluster.ts";
import { namespacesUnavailable } from "../test/support/namespaces.ts";
import { fromCommandLine, parsed } from "./command-line.ts";
import { bothFamilies, cleanUp, DUAL_STACK_NODES } from "./demo/dual-stack-steps.ts";
import { twoRouters } from "./demo/multipath-step.ts";
import { nodesInTwoSubnets, TWO_SUBNETS } from "./demo/overlay-step.ts";
import { podsByPlugins } from "./demo/pods-step.ts";
import { Report } from "./demo/report.ts";
import { deleteAndReturn, lookAround, restartUnderTcpdump, startAll } from "./demo/steps.ts";

/** With the last one, which ends the cluster. */
const STEPS = 11;

async function main(): Promise<number> {
  const { keep = false } = fromCommandLine("demo", "npm run demo [-- --keep]", (args) => {
    return parsed({ args: [...args], options: { keep: { type: "boolean" } } }).values;
  });
  const unavailable = (await namespacesUnavailable()) ?? (await clusterUnavailable());
  if (unavailable !== undefined) {
    process.stderr.write(`make demo cannot run here: ${unavailable}\n`);
    return 2;
  }
  const report = new Report(keep ? STEPS - 1 : STEPS);
  const cluster = new Cluster();
  const second = new Cluster(DUAL_STACK_NODES);
  const third = new Cluster(TWO_SUBNETS);
  const clusters = [cluster, second, third];
  const interrupted = Promise.withResolvers<never>();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(signal, () => interrupted.reject(new Error(`${signal}: ended early`)));
  }
  let ended = "failed";
  try {
    const swept = await sweepDead();
    if (swept.length > 0) report.note(`removed what a killed run had left: ${swept.join(" ")}`);
    await Promise.race([perform(cluster, second, third, report), interrupted.promise]);
    ended = "complete";
  } catch (error) {
    report.check(describe(error), false);
    for (const agent of clusters.flatMap(({ agents }) => [...agents.values()])) {
      report.print(`\nlast output of ${agent.name}:\n${agent.output.slice(-3000)}`);
    }
  }
  await second.remove();
  await third.remove();
  if (keep && ended === "complete") {
    report.summary();
    howToLookAround(cluster, report);
    await interrupted.promise.catch(() => report.note("ending"));
  }
  if (!keep) report.step("ending the cluster");
  await cluster.remove();
  if (!keep) {
    const left = clusters.flatMap(leftovers);
    report.check("nothing is left behind", left.length === 0, left.join(" "));
    report.summary();
  }
  return report.failed === 0 ? 0 : 1;
}

async function perform(
  cluster: Cluster,
  second: Cluster,
  third: Cluster,
  report: Report,
): Promise<void> {
  await startAll(cluster, report);
  await lookAround(cluster, report);
  await podsByPlugins(cluster, report);
  await deleteAndReturn(cluster, report);
  await restartUnderTcpdump(cluster, report);
  await bothFamilies(second, report);
  await twoRouters(second, report);
  await cleanUp(second, report);
  await nodesInTwoSubnets(third, report);
}

/** Namespaces of this run that are still there. */
function leftovers(cluster: Cluster): readonly string[] {
  const listed = spawnSync("ip", ["netns", "list"], { encoding: "utf8" }).stdout;
  return listed.split("\n").filter((line) => line.startsWith(cluster.namespaces.group));
}

function howToLookAround(cluster: Cluster, report: Report): void {
  const enter = (node: string) => `ip netns exec ${cluster.namespaces.name(node)}`;
  report.print(`
The cluster is up. Look around from another terminal, for example:
  ${enter("node1")} ip route
  ${enter("node1")} ipset list
  ${enter("node1")} bin/podrouter peers --admin-socket=${cluster.socket("node1")}
  ${enter("node1")} bin/podrouter rib --admin-socket=${cluster.socket("node1")}
  ${enter("node1")} tcpdump -ni enp1s0 -v port 179
  ${enter("pod-node1")} ping 10.233.65.2
The kubeconfig is ${cluster.kubeconfig} (reachable from ${enter("fabric")} …).
Ctrl-C here, or kill ${process.pid}, ends it and removes everything.`);
}

function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? `${error.message}: ${error.cause.message}` : error.message;
}

// What was interrupted may still wait for something.
process.exit(await main());
