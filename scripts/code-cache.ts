/**
 * Runs what `bundle.ts` made for some seconds, and puts what the engine compiled of it beside it:
 * the agent then starts with it (src/launch/program.ts).
 *
 *   node_modules/node/bin/node scripts/code-cache.ts FOLDER [FLAG OF NODE.JS …]
 *
 * Two agents on the loopback interface, one of them recorded: with a cluster of Nodes that come and
 * go, sessions that are ended and come back, routes of many attributes, lists and metrics that are
 * asked for. It is a dry run of both, so it needs no privilege and changes nothing on the machine,
 * and everyone who runs it gets the same.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import {
  existsSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { PEERS_PATH, RIB_PATH, STATUS_PATH } from "../src/agent/admin-protocol.ts";
import { askAgent } from "../src/cli/agent-client.ts";
import { codeCacheFile } from "../src/launch/program.ts";
import { NodesApi } from "./code-cache/nodes-api.ts";
import { fromCommandLine, UsageError } from "./command-line.ts";

const RECORDED = "127.0.0.1";
const PARTNER = "127.0.0.2";
const AS = 64_512;
const NODES = 8;
const ROUTES = 200;
/** Times that the session is brought down and up, with other routes each time. */
const ROUNDS = 4;
/** A builder that emulates another architecture takes a minute for what is over in a second here. */
const WAIT_MS = 180_000;
const QUIET_MS = 100;
const OUTPUT_CHARACTERS_MAX = 4000;

interface Agent {
  readonly child: ChildProcess;
  /** The end of what it said. */
  output: string;
}

const USAGE = "node_modules/node/bin/node scripts/code-cache.ts FOLDER [FLAG OF NODE.JS …]";
const { folder, flags, launcher } = fromCommandLine("code-cache", USAGE, ([given, ...flags]) => {
  if (given === undefined) throw new UsageError("the folder of the bundle is missing");
  const folder = resolve(given);
  const launcher = join(folder, "podrouter.cjs");
  if (existsSync(launcher)) return { folder, flags, launcher };
  throw new UsageError(`${launcher} is not there: the folder is that of a bundle`);
});
const digest = /readProgram\(__dirname, "([0-9a-f]+)"\)/.exec(readFileSync(launcher, "utf8"))?.[1];
if (digest === undefined) throw new Error(`${launcher} names no digest of its program`);

const work = mkdtempSync(join(tmpdir(), "podrouter-code-"));
const api = new NodesApi(NODES);
const agents: Agent[] = [];
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  // The kernel may tell of the same end several times; the next one shall not cut this short.
  process.on(signal, () => {
    cleanUp();
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  });
}
try {
  await record(digest);
  const file = join(folder, codeCacheFile(digest));
  process.stdout.write(`${file}: ${Math.round(statSync(file).size / 1000)} kB\n`);
} finally {
  cleanUp();
}

function cleanUp(): void {
  for (const { child } of agents) child.kill("SIGKILL");
  api.close();
  rmSync(work, { recursive: true, force: true });
}

async function record(digest: string): Promise<void> {
  const [master, port, metrics] = [await api.listen(), await freePort(), await freePort()];
  const recorder = join(import.meta.dirname, "code-cache", "recorder.ts");
  configure(RECORDED, port, 0);
  configure(PARTNER, port, 0);
  const recorded = agent(
    RECORDED,
    [recorder, folder, digest],
    [
      ...[`--master=${master}`, "--hostname-override=node-0", "--enable-ibgp=false"],
      ...[`--metrics-port=${metrics}`, "--metrics-addr=127.0.0.1"],
    ],
  );
  const partner = agent(PARTNER, [launcher], []);
  await hears(RECORDED, PARTNER, 0);
  await hears(PARTNER, RECORDED, 0);
  for (let round = 1; round <= ROUNDS; round++) {
    // Another hold time: the session is ended and made anew, by this side or by that.
    const [changed, other] = round % 2 === 0 ? [RECORDED, PARTNER] : [PARTNER, RECORDED];
    configure(changed, port, round);
    await hears(other, changed, round);
    api.change("DELETED", round);
    api.change("MODIFIED", NODES - 1, 100 + round);
    await sleep(QUIET_MS);
    api.change("ADDED", round);
    for (const path of [PEERS_PATH, RIB_PATH, STATUS_PATH]) await rows(RECORDED, path);
    const page = await fetch(`http://127.0.0.1:${metrics}/metrics`);
    if (!page.ok || (await page.text()) === "") throw new Error("no metrics");
  }
  for (const each of [recorded, partner]) await end(each);
}

/** An agent; its output goes where ours goes when it fails. */
function agent(address: string, program: readonly string[], words: readonly string[]): Agent {
  const child = spawn(
    process.execPath,
    [
      ...[...flags, ...program, "run", ...words],
      ...[`--config=${configFile(address)}`, `--admin-socket=${socketOf(address)}`],
      ...[`--state-dir=${join(work, `state-${address}`)}`, "--dry-run=true", "--enable-cni=false"],
      ...["--enable-pod-egress=false", "--health-port=0"],
    ],
    { stdio: ["ignore", "ignore", "pipe"] },
  );
  const made: Agent = { child, output: "" };
  agents.push(made);
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    made.output = (made.output + text).slice(-OUTPUT_CHARACTERS_MAX);
  });
  return made;
}

async function end({ child, output }: Agent): Promise<void> {
  const code = once(child, "exit").then(([status]) => status as number | null);
  child.kill("SIGTERM");
  const status = await Promise.race([code, sleep(WAIT_MS, undefined, { ref: false })]);
  if (status !== 0) throw new Error(`an agent did not end in order: ${status}\n${output}`);
}

/** Writes the configuration of an agent; each round has its own routes and hold time. */
function configure(address: string, port: number, round: number): void {
  const file = {
    global: { as: AS, routerId: address, listen: [{ address, port }] },
    policies: [{ name: "all", default: "accept" }],
    peers: [RECORDED, PARTNER]
      .filter((each) => each !== address)
      .map((each) => ({
        ...{ name: "other", address: each, port, localAddress: address, remoteAs: AS },
        ...{ import: "all", export: "all", holdTime: `${90 + round}s` },
      })),
    networks: Array.from({ length: ROUTES }, (_, index) => ({
      ...{ prefix: prefixOf(address, round, index), med: index % 20 },
      communities: [`${AS}:${index % 50}`],
      // Not this side's own address: nobody takes one of the loopback interface for a next hop.
      nextHop: `192.0.2.${1 + (index % NODES)}`,
    })),
  };
  const path = configFile(address);
  writeFileSync(`${path}.new`, JSON.stringify(file));
  renameSync(`${path}.new`, path);
}

function prefixOf(address: string, round: number, index: number): string {
  return `10.${(address === RECORDED ? 100 : 200) + round}.${index}.0/24`;
}

/** Waits until one agent has the routes of the other's round, but not for one that has ended. */
async function hears(address: string, other: string, round: number): Promise<void> {
  const prefix = prefixOf(other, round, ROUTES - 1);
  const isRunning = ({ child }: Agent) => child.exitCode === null && child.signalCode === null;
  const end = Date.now() + WAIT_MS;
  for (; agents.every(isRunning) && Date.now() < end; await sleep(QUIET_MS)) {
    // Not there yet, or not listening yet.
    const found = await rows(address, `${RIB_PATH}?prefix=${prefix}`).catch(() => 0);
    if (found > 0) return;
  }
  const outputs = agents.map(({ output }) => output).join("\n");
  throw new Error(`${address} has not heard of ${prefix}\n${outputs}`);
}

async function rows(address: string, path: string): Promise<number> {
  let count = 0;
  for await (const _ of askAgent(socketOf(address), path)) count++;
  return count;
}

function configFile(address: string): string {
  return join(work, `${address}.json`);
}

function socketOf(address: string): string {
  return join(work, `${address}.sock`);
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, RECORDED);
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}
