/**
 * What sessions cost: one speaker with N internal peers, one /24 each, over TCP in a namespace of
 * its own (root). Prints the time and CPU until all are up and all routes are there, and the CPU of
 * a minute in which nothing happens (hold time 90 s).
 *
 *   node bench/sessions.ts [peers] [idle seconds]
 *
 * Case for: timers of idle sessions on a common grid (src/bgp/session/machine-runner.ts).
 */
import { spawn } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { TcpTransport } from "../src/bgp/session/tcp-transport.ts";
import { Speaker } from "../src/bgp/speaker.ts";
import { silentLog } from "../src/runtime/log.ts";
import { systemClock } from "../src/runtime/system-clock.ts";
import { Namespaces } from "../test/support/namespaces.ts";
import { ip, peerConfig, route, speakerConfig } from "../test/support/speakers.ts";

const PORT = 179;
const [role = "main", countText = "1000", idleText = "60"] = roleAndSizes();
const count = Number(countText);
const idleSeconds = Number(idleText);
const self = ip("198.19.255.1");
const peerAddress = (i: number) => ip(`198.18.${i >> 8}.${i & 255}`);
const transport = new TcpTransport();
const services = { clock: systemClock, random: Math.random, log: silentLog, transport };

if (role === "main") await main();
else if (role === "peers") peers();
else measured();

function roleAndSizes(): string[] {
  const args = process.argv.slice(2);
  return args[0] === "peers" || args[0] === "measured" ? args : ["main", ...args];
}

async function main(): Promise<void> {
  const namespaces = new Namespaces();
  const name = await namespaces.add("sessions");
  try {
    await namespaces.ip("sessions", "addr add 198.18.0.1/15 dev lo");
    const run = (as: string) => {
      const args = ["netns", "exec", name, process.execPath, import.meta.filename];
      const child = spawn("ip", [...args, as, countText, idleText], { stdio: "inherit" });
      return { child, exited: new Promise((resolve) => child.on("exit", resolve)) };
    };
    const others = run("peers");
    await sleep(3_000);
    await run("measured").exited;
    others.child.kill();
    await others.exited;
  } finally {
    await namespaces.remove();
  }
}

/** N speakers with one peer each, which wait to be dialled. */
function peers(): void {
  for (let i = 0; i < count; i++) {
    const own = peerAddress(i);
    const listen = [{ address: own, port: PORT }];
    const speaker = new Speaker(services, speakerConfig(own, { listen }));
    speaker.originate([route(`10.${i >> 8}.${i & 255}.0/24`, own)]);
    speaker.setPeers([peerConfig(own, self, { port: PORT, passive: true })]);
    speaker.start();
  }
}

function measured(): void {
  const before = process.cpuUsage();
  const start = performance.now();
  const speaker = new Speaker(services, speakerConfig(self, { listen: [] }));
  speaker.originate([route("10.255.0.0/24", self)]);
  const configs = Array.from({ length: count }, (_, i) => peerConfig(self, peerAddress(i)));
  speaker.setPeers(configs);
  speaker.onConverged(() => void report(speaker, performance.now() - start, before));
  speaker.start();
}

async function report(speaker: Speaker, ms: number, before: NodeJS.CpuUsage): Promise<void> {
  const up = speaker.peers().filter(({ state }) => state === "Established").length;
  const routes = [...speaker.bestRoutes()].length - 1;
  const rss = Math.round(process.memoryUsage().rss / 1e6);
  say(`${up} sessions and ${routes} routes after ${Math.round(ms)} ms`);
  say(`CPU ${cpuSeconds(before)} s, RSS ${rss} MB`);
  await sleep(3_000);
  const idle = process.cpuUsage();
  await sleep(idleSeconds * 1_000);
  say(`idle: CPU ${cpuSeconds(idle)} s in ${idleSeconds} s`);
  process.exit(0);
}

function cpuSeconds(since: NodeJS.CpuUsage): string {
  const { user, system } = process.cpuUsage(since);
  return ((user + system) / 1e6).toFixed(2);
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
