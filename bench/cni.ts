/**
 * Time per pod: podrouter-cni beside bridge with host-local, in the same run on the same machine,
 * in namespaces of its own. Each is called as a runtime calls it: one pod after the other, and all
 * at once. The agent runs from the bundle, the executable is laid out as on a node. Needs root,
 * the reference plugins in /usr/lib/cni, and a bundle (`npm run bundle`).
 *
 *   node_modules/node/bin/node bench/cni.ts [pods] [rounds]
 */
import { spawn } from "node:child_process";
import { copyFileSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { keptFolder } from "../packages/netlink-ts/test/support/keeper.ts";
import { fromCommandLine, numberOf, wordsOf } from "../scripts/command-line.ts";
import { Namespaces } from "../test/support/namespaces.ts";
import { Daemon, must, until } from "../test/support/shell.ts";

const ROOT = join(import.meta.dirname, "..");
const REFERENCE = "/usr/lib/cni";
const TICKS_PER_SECOND = 100;

/** What the part inside the node's namespace is told. */
interface Task {
  readonly program: string;
  readonly config: object;
  readonly netns: readonly string[];
  /** Of the agent, whose work counts too. */
  readonly agentPid: number | undefined;
}

/** Milliseconds. */
interface Measured {
  readonly add: readonly number[];
  readonly del: readonly number[];
  readonly addAll: number;
  readonly delAll: number;
  /** Of plugin and agent together, for an ADD with its DEL, one after the other. */
  readonly cpu: number;
}

function call(task: Task, command: string, netns: string): Promise<number> {
  const begun = performance.now();
  const child = spawn(task.program, [], {
    env: {
      PATH: process.env["PATH"],
      CNI_COMMAND: command,
      CNI_CONTAINERID: netns.slice(netns.lastIndexOf("/") + 1),
      CNI_NETNS: netns,
      CNI_IFNAME: "eth0",
      CNI_PATH: REFERENCE,
    },
    stdio: ["pipe", "pipe", "inherit"],
  });
  let output = "";
  child.stdout.on("data", (chunk: Buffer) => (output += chunk.toString()));
  child.stdin.end(JSON.stringify(task.config));
  return new Promise((resolve, reject) => {
    child.once("close", (status) => {
      if (status === 0) resolve(performance.now() - begun);
      else reject(new Error(`${command}: ${output}`));
    });
  });
}

/** User and system time in ms: of a process, or of this one's children that have ended. */
function cpuOf(pid: number | "self"): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]!.split(" ");
  const [from, to] = pid === "self" ? [13, 15] : [11, 13];
  const ticks = fields.slice(from, to).reduce((sum, field) => sum + Number(field), 0);
  return (ticks * 1000) / TICKS_PER_SECOND;
}

async function inside(task: Task): Promise<Measured> {
  const one = async (command: string): Promise<number[]> => {
    const times: number[] = [];
    for (const netns of task.netns) times.push(await call(task, command, netns));
    return times;
  };
  const all = async (command: string): Promise<number> => {
    const begun = performance.now();
    await Promise.all(task.netns.map((netns) => call(task, command, netns)));
    return performance.now() - begun;
  };
  const agent = () => (task.agentPid === undefined ? 0 : cpuOf(task.agentPid));
  const before = cpuOf("self") + agent();
  const add = await one("ADD");
  const del = await one("DEL");
  const cpu = (cpuOf("self") + agent() - before) / task.netns.length;
  const addAll = await all("ADD");
  const delAll = await all("DEL");
  return { add, del, addAll, delAll, cpu };
}

const FAMILIES = {
  IPv4: ["10.77.0.0/24"],
  "IPv4 and IPv6": ["10.77.0.0/24", "fd00:77::/64"],
} as const;

/** The plugin as install-cni-plugins lays it out, and the agent's bundle. */
function install(folder: string): string {
  const beside = join(folder, "bin", ".podrouter");
  mkdirSync(beside, { recursive: true });
  copyFileSync(join(ROOT, "bin", "podrouter-cni"), join(folder, "bin", "podrouter-cni"));
  copyFileSync(join(ROOT, "dist", "podrouter-cni.cjs"), join(beside, "podrouter-cni.cjs"));
  symlinkSync(process.execPath, join(beside, "node"));
  return join(folder, "bin", "podrouter-cni");
}

async function startAgent(folder: string, node: string, cidrs: readonly string[]): Promise<Daemon> {
  const nodes = {
    kind: "List",
    apiVersion: "v1",
    items: [
      {
        metadata: { name: "bench" },
        spec: { podCIDR: cidrs[0], podCIDRs: cidrs },
        status: { addresses: [{ type: "InternalIP", address: "192.0.2.1" }] },
      },
    ],
  };
  writeFileSync(join(folder, "nodes.json"), JSON.stringify(nodes));
  rmSync(join(folder, "cni"), { recursive: true, force: true });
  const agent = new Daemon("agent", "ip", [
    ...["netns", "exec", node, process.execPath, join(ROOT, "dist", "podrouter.cjs"), "run"],
    `--nodes-file=${join(folder, "nodes.json")}`,
    "--hostname-override=bench",
    `--admin-socket=${join(folder, "admin.sock")}`,
    `--cni-socket=${join(folder, "cni.sock")}`,
    `--state-dir=${join(folder, "state")}`,
    `--cni-conf-file=${join(folder, "cni", "10-bench.conflist")}`,
    `--cni-bin-dir=${join(folder, "bin")}`,
    "--cni-plugin=podrouter",
    "--health-port=0",
  ]);
  await until("the agent connects pods", () => {
    if (!agent.running) throw new Error(agent.output);
    return readFileSync(join(folder, "cni", "10-bench.conflist"), "utf8") !== "";
  });
  return agent;
}

async function measure(node: string, task: Task): Promise<Measured> {
  const args = ["netns", "exec", node, process.execPath, import.meta.filename, "inside"];
  return JSON.parse(await must("ip", [...args, JSON.stringify(task)], { timeoutMs: 300_000 }));
}

const sorted = (values: readonly number[]) => [...values].sort((a, b) => a - b);
const at = (values: readonly number[], part: number) =>
  sorted(values)[Math.min(values.length - 1, Math.floor(values.length * part))]!;

function row(name: string, rounds: readonly Measured[]): string {
  const add = rounds.flatMap((round) => round.add);
  const del = rounds.flatMap((round) => round.del);
  const cells = [
    at(add, 0.5),
    at(add, 0.95),
    at(del, 0.5),
    at(
      rounds.map((round) => round.addAll),
      0.5,
    ),
    at(
      rounds.map((round) => round.delAll),
      0.5,
    ),
    at(
      rounds.map((round) => round.cpu),
      0.5,
    ),
  ];
  return `| ${name} | ${cells.map((cell) => cell.toFixed(1)).join(" | ")} |`;
}

async function main(pods: number, rounds: number): Promise<void> {
  const ns = new Namespaces();
  const folder = keptFolder();
  const lines: string[] = [];
  let agent: Daemon | undefined;
  try {
    const node = await ns.add("node");
    await ns.ip("node", "addr add 192.0.2.1/24 dev lo");
    const netns: string[] = [];
    for (let i = 0; i < pods; i++) netns.push(`/run/netns/${await ns.add(`pod${i}`)}`);
    const program = install(folder);
    for (const [family, cidrs] of Object.entries(FAMILIES)) {
      agent = await startAgent(folder, node, cidrs);
      const own: Measured[] = [];
      const reference: Measured[] = [];
      for (let round = 0; round < rounds; round++) {
        const [list] = JSON.parse(
          readFileSync(join(folder, "cni", "10-bench.conflist"), "utf8"),
        ).plugins;
        const config = { ...list, cniVersion: "1.0.0", name: "bench" };
        const agentPid = agent.child.pid;
        own.push(await measure(node, { program, config, netns, agentPid }));
        reference.push(await measure(node, referenceTask(folder, cidrs, netns)));
      }
      lines.push(row(`podrouter-cni, ${family}`, own));
      lines.push(row(`bridge + host-local, ${family}`, reference));
      await agent.stop();
    }
  } finally {
    await agent?.stop();
    await ns.remove();
    rmSync(folder, { recursive: true });
  }
  process.stdout.write(
    `${pods} pods, ${rounds} rounds; milliseconds\n\n` +
      "| plugin | ADD median | ADD 95 % | DEL median | all ADD at once | all DEL at once | " +
      "CPU for ADD and DEL |\n| --- | --- | --- | --- | --- | --- | --- |\n" +
      `${lines.join("\n")}\n`,
  );
}

function referenceTask(folder: string, cidrs: readonly string[], netns: readonly string[]): Task {
  const config = {
    cniVersion: "1.0.0",
    name: "reference",
    type: "bridge",
    bridge: "kube-bridge",
    isDefaultGateway: true,
    forceAddress: true,
    hairpinMode: true,
    mtu: 1500,
    ipam: {
      type: "host-local",
      dataDir: join(folder, "host-local"),
      ranges: cidrs.map((subnet) => [{ subnet }]),
    },
  };
  return { program: join(REFERENCE, "bridge"), config, netns, agentPid: undefined };
}

if (process.argv[2] === "inside") {
  process.stdout.write(JSON.stringify(await inside(JSON.parse(process.argv[3]!))));
} else {
  const usage = "node_modules/node/bin/node bench/cni.ts [pods] [rounds]";
  await fromCommandLine("cni", usage, (args) => {
    const [pods = "50", rounds = "3"] = wordsOf(args, 2);
    return main(numberOf("pods", pods, 1), numberOf("rounds", rounds, 1));
  });
}
