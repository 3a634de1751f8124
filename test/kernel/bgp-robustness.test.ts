/** What hostile and broken peers can do to a real agent over the kernel's TCP: nothing. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { MESH_PREFIXES_MAX } from "../../src/agent/mesh.ts";
import type { Capability } from "../../src/bgp/message/types.ts";
import { QUEUE_BYTES_HIGH } from "../../src/bgp/session/transport.ts";
import { announce, hex, message, openOf, type RawPeer } from "../support/raw-peer.ts";
import { AGENT_ADDRESS, PASSWORD, RobustnessLab } from "../support/robustness-lab.ts";
import { slowness, until } from "../support/shell.ts";
import { ip } from "../support/speakers.ts";

const MB = 1_000_000;
/** Connections of nobody's, one each ms at most. */
const STRANGERS = 3_000;
const ROUTES = 100_000;
/** Of the process with 100,000 routes, each with attributes of its own, for three peers. */
const RSS_BYTES_MAX = 600 * MB;

/** UPDATEs of one prefix each, with 40 communities and a MED of its own: about 230 octets. */
function fatUpdates(count: number): Uint8Array[] {
  const communities = Array.from(
    { length: 40 },
    (_, i) => `fc00${(i + 1).toString(16).padStart(4, "0")}`,
  );
  const list: Uint8Array[] = [];
  for (let i = 0; i < count; i++) {
    const med = i.toString(16).padStart(8, "0");
    const attributes = `40010100 400200 4003040a00000b 800404${med} 40050400000064 c008a0${communities.join("")}`;
    const length = hex(attributes).length.toString(16).padStart(4, "0");
    const prefix = (0x0b_00_00 + i).toString(16).padStart(6, "0");
    list.push(message(2, hex(`0000 ${length} ${attributes} 18${prefix}`)));
  }
  return list;
}

/** Sends everything, without holding more than a few MB of it in this process. */
async function sendAll(raw: RawPeer, buffers: readonly Uint8Array[]): Promise<void> {
  for (let i = 0; i < buffers.length; i += 200) {
    raw.send(new Uint8Array(Buffer.concat(buffers.slice(i, i + 200))));
    while (raw.connection!.queuedBytes > 2 * MB) await sleep(1);
  }
}

test("a peer with a zero window: bounded memory, the others get all and stay up", async (t) => {
  // Before there are sessions: while they are made, nobody keeps these alive.
  const routes = fatUpdates(ROUTES);
  const lab = await RobustnessLab.make(t, [
    { name: "feeder", holdSeconds: 90 },
    { name: "deaf", holdSeconds: 90 },
    { name: "fine", holdSeconds: 3 },
  ]);
  if (lab === undefined) return;
  await lab.established("feeder", "deaf", "fine");
  const fine = lab.raw("fine");
  lab.raw("deaf").connection!.pause();
  const began = performance.now();
  await sendAll(lab.raw("feeder"), routes);
  const updates = () => fine.heard.filter(({ type, bytes }) => type === 2 && bytes.length > 23);
  await until("the other peer has all routes", () => updates().length >= ROUTES, 90_000, 100);
  t.diagnostic(`${ROUTES} routes to the other peer: ${Math.round(performance.now() - began)} ms`);
  await sleep(3_000);
  const { status } = await lab.ask("deaf");
  t.diagnostic(`queue of the deaf peer: ${status.outputQueueBytes} bytes`);
  t.diagnostic(`VmHWM ${Math.round(lab.memory("VmHWM") / MB)} MB`);
  assert.ok(status.outputQueueBytes > QUEUE_BYTES_HIGH / 4, "its window is shut");
  assert.ok(status.outputQueueBytes <= QUEUE_BYTES_HIGH + 64 * 1024 + 4096);
  assert.ok(lab.memory("VmHWM") < RSS_BYTES_MAX, `${lab.memory("VmHWM")} bytes`);
  assert.equal(status.state, "Established");
  assert.equal((await lab.ask("fine")).status.established, 1);
  const silence = lab.longestSilence("fine");
  assert.ok(silence < 2_000, `${silence} ms of silence`);
});

test("a flood of UPDATEs: others with a hold time of 3 s stay up, queries are answered", async (t) => {
  const lab = await RobustnessLab.make(t, [
    { name: "flooder", holdSeconds: 90 },
    { name: "one", holdSeconds: 3 },
    { name: "two", holdSeconds: 3 },
  ]);
  if (lab === undefined) return;
  await lab.established("flooder", "one", "two");
  const flooder = lab.raw("flooder");
  const own = ip("10.0.0.11");
  const bursts = Array.from({ length: 64 }, (_, n) => {
    const numbers = Array.from({ length: 50 }, (_, i) => n * 50 + i);
    const withdrawn = numbers.map((each) => `180a${each.toString(16).padStart(4, "0")}`).join("");
    const length = (numbers.length * 4).toString(16).padStart(4, "0");
    const gone = message(2, hex(`${length}${withdrawn}0000`));
    return new Uint8Array(Buffer.concat([announce(own, ...numbers), gone]));
  });
  const end = performance.now() + 5_000;
  const answers: number[] = [];
  const asking = (async () => {
    while (performance.now() < end) {
      answers.push((await lab.ask("one")).ms);
      await sleep(50);
    }
  })();
  while (performance.now() < end) {
    if (flooder.connection!.queuedBytes < MB) flooder.send(...bursts);
    await sleep(1);
  }
  await asking;
  answers.sort((a, b) => a - b);
  const [median, worst] = [answers[answers.length >> 1]!, answers.at(-1)!];
  const { received } = (await lab.ask("flooder")).status;
  const slow = await slowness();
  t.diagnostic(`${received.update} UPDATEs in 5 s`);
  t.diagnostic(`answers: median ${Math.round(median)} ms, worst ${Math.round(worst)} ms`);
  assert.ok(received.update > 20_000 / slow, `${received.update} UPDATEs`);
  assert.ok(median < 100 * slow, `median ${median} ms`);
  assert.ok(worst < 1_000 * slow, `worst ${worst} ms`);
  for (const name of ["flooder", "one", "two"]) {
    const { status } = await lab.ask(name);
    assert.equal(`${status.state} ${status.established}`, "Established 1", name);
  }
  for (const name of ["one", "two"]) {
    const silence = lab.longestSilence(name);
    assert.ok(silence < 2_000, `${silence} ms of silence`);
  }
});

test("1,000 connections a second from strangers: no session, no file, no memory", async (t) => {
  const lab = await RobustnessLab.make(t, [{ name: "one", holdSeconds: 3 }]);
  if (lab === undefined) return;
  await lab.established("one");
  const files = lab.openFiles();
  const made = await lab.outside(`
    import { connect } from "node:net";
    let made = 0;
    const options = { host: "${AGENT_ADDRESS}", port: 179, localAddress: "10.0.0.99" };
    const began = performance.now();
    // To their number: a process that is held up at the end of the time would make fewer.
    while (made < ${STRANGERS}) {
      while (made < Math.min(performance.now() - began, ${STRANGERS})) {
        connect(options).on("connect", () => undefined).on("error", () => undefined);
        made++;
      }
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    process.stdout.write(String(made));
  `);
  assert.equal(Number(made), STRANGERS);
  const refused = () => lab.metric("podrouter_bgp_refused_connections_total ");
  await until("all are counted", async () => (await refused()) >= Number(made) - 10);
  const { state, established } = (await lab.ask("one")).status;
  assert.equal(`${state} ${established}`, "Established 1");
  await until("no file is left open", () => lab.openFiles() <= files + 2);
  t.diagnostic(`${made} connections, ${await refused()} refused, ${lab.openFiles()} files`);
  assert.doesNotMatch(lab.log, /10\.0\.0\.99/, "strangers do not fill the log");
});

/** ESC, BEL, line breaks, C1, bidi, invalid UTF-8; and `name` to find the harmless rest by. */
const evil = (name: string) =>
  new Uint8Array([
    ...Buffer.from(`\u001b[31m\u0007\r\n${name}\u202e\u009b2J\u001b]0;x\u0007\0`),
    0xc3,
    0x28,
    0xff,
    0xfe,
    0xed,
    0xa0,
    0x80,
  ]);
const withLength = (text: Uint8Array) => new Uint8Array([text.length, ...text]);
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const STEERING = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\ufffe]|\\u00[01][0-9a-f]/;

test("text of a peer steers no terminal, log or metric, however odd", async (t) => {
  const own: readonly Capability[] = [
    { kind: "unknown", code: 73, value: new Uint8Array([...withLength(evil("hostname")), 0]) },
    { kind: "unknown", code: 75, value: withLength(evil("version")) },
  ];
  const capabilities = [...openOf(ip("10.0.0.11")).capabilities, ...own];
  const names = ["odd0", "odd1", "odd2", "odd3"];
  const peers = names.map((name) => ({ name, holdSeconds: 90, open: { capabilities } }));
  const lab = await RobustnessLab.make(t, peers);
  if (lab === undefined) return;
  const outputs: string[] = [];
  const look = async () => {
    const commands = [
      ["peers"],
      ["peers", "--wide"],
      ["peers", "odd0"],
      ["peers", "odd3"],
      ["peers", "-o", "json"],
    ];
    for (const words of commands) outputs.push(await lab.client(...words));
    outputs.push(await lab.client("status"), await lab.metrics());
  };
  await lab.established(...names);
  await look();
  assert.ok(
    outputs.some((text) => text.includes("hostname")),
    "it is shown",
  );
  const texts = [withLength(evil("goodbye")), new Uint8Array(255).fill(0x1b), evil("no length")];
  const long = new Uint8Array([255, ...new Uint8Array(254).fill(0x41), 0xe2, 0x82, 0xac]);
  assert.match(Buffer.from(texts[0]!).toString(), STEERING);
  for (const [index, text] of [...texts, long].entries()) {
    lab.raw(names[index]!).send(message(3, new Uint8Array([6, 2, ...text])));
    await until(`it is heard (${index})`, async () => {
      const { status } = await lab.ask(names[index]!);
      return status.lastError?.reason.includes("Administrative Shutdown");
    });
  }
  await look();
  assert.ok(
    outputs.some((text) => text.includes("goodbye")),
    "it is shown",
  );
  for (const text of [...outputs, lab.log]) {
    const found = STEERING.exec(text);
    assert.equal(found, null, JSON.stringify(text.slice((found?.index ?? 0) - 80).slice(0, 160)));
  }
  assert.doesNotMatch(await lab.metrics(), /goodbye|hostname/, "no label");
});

test("a wrong password says so: where we dial, and where the peer does", async (t) => {
  const lab = await RobustnessLab.make(t, [
    { name: "dialled", holdSeconds: 90, extra: ", passwordFile: KEY" },
    { name: "dials", holdSeconds: 90, extra: ", passive: true, passwordFile: KEY", absent: true },
  ]);
  if (lab === undefined) return;
  const reason = async () => (await lab.ask("dialled")).status.lastError?.reason ?? "";
  await until("the reason says password", async () => /same password/.test(await reason()), 20_000);
  assert.match(await lab.client("peers", "dialled"), /Last error.*timed out.*same password/);
  const connect = lab.outside(`
    import { connect } from "node:net";
    const socket = connect({ host: "${AGENT_ADDRESS}", port: 179, localAddress: "10.0.0.12" });
    socket.on("error", () => undefined);
    setTimeout(() => process.exit(0), 1500);
  `);
  await connect;
  const missing = await lab.metric('podrouter_tcp_md5_dropped_total{cause="missing"}');
  assert.ok(missing >= 1, `${missing} segments without a key`);
  assert.match(await lab.client("peers", "dials"), /password is set: .* dropped without a word/);
  assert.ok(!(lab.log + (await lab.metrics())).includes(PASSWORD));
});

test("a hundred thousand routes of their own attributes where a Node is expected", async (t) => {
  // Before there are sessions, as above.
  const routes = fatUpdates(ROUTES);
  const limits = `{ limit: ${MESH_PREFIXES_MAX}, warningPercent: 75, restart: 60 }`;
  const lab = await RobustnessLab.make(t, [
    { name: "greedy", holdSeconds: 90, extra: `, maximumPrefixes: ${limits}` },
    { name: "fine", holdSeconds: 3 },
  ]);
  if (lab === undefined) return;
  await lab.established("greedy", "fine");
  const before = lab.memory("VmRSS");
  const greedy = lab.raw("greedy");
  for (let i = 0; i < routes.length && greedy.notification === undefined; i += 200) {
    greedy.send(new Uint8Array(Buffer.concat(routes.slice(i, i + 200))));
    await sleep(1);
  }
  await until("the cease", () => greedy.notification === "6/1");
  await until("the warning", () => /prefix limit nearly reached/.test(lab.log));
  const grown = lab.memory("VmHWM") - before;
  t.diagnostic(`grown by ${Math.round(grown / MB)} MB`);
  assert.ok(grown < 100 * MB, `${grown} bytes`);
  assert.equal((await lab.ask("greedy")).status.adminState, "prefix-limit");
  const { state, established } = (await lab.ask("fine")).status;
  assert.equal(`${state} ${established}`, "Established 1");
  const silence = lab.longestSilence("fine");
  assert.ok(silence < 2_000, `${silence} ms of silence`);
});

test("too many prefixes: warning, cease 6/1, back after its time; the others see nothing", async (t) => {
  const limits = "{ limit: 1000, warningPercent: 75, restart: 3 }";
  const lab = await RobustnessLab.make(t, [
    { name: "greedy", holdSeconds: 90, extra: `, maximumPrefixes: ${limits}` },
    { name: "fine", holdSeconds: 3 },
  ]);
  if (lab === undefined) return;
  await lab.established("greedy", "fine");
  const greedy = lab.raw("greedy");
  const own = ip("10.0.0.11");
  const numbers = (from: number, count: number) =>
    Array.from({ length: count }, (_, i) => from + i);
  greedy.send(announce(own, ...numbers(0, 800)));
  await until("the warning", () => /prefix limit nearly reached/.test(lab.log));
  const before = lab.memory("VmRSS");
  for (let i = 800; i < 60_000; i += 800) greedy.send(announce(own, ...numbers(i, 800)));
  await until("the cease", () => greedy.notification === "6/1");
  const [bytes] = greedy.hex(3);
  assert.equal(bytes!.slice(38), "0601000101000003e8", "AFI, SAFI and the limit");
  assert.equal((await lab.ask("greedy")).status.adminState, "prefix-limit");
  assert.match(await lab.client("peers", "greedy"), /prefix limit exceeded/);
  assert.match(await lab.client("peers", "greedy"), /more prefixes than the limit: 1/);
  const counted = `podrouter_bgp_refused_total{peer="greedy",address="${own}",reason="more prefixes`;
  assert.equal(await lab.metric(counted), 1);
  assert.ok(lab.memory("VmRSS") < before + 60 * MB);
  await lab.established("greedy");
  assert.equal((await lab.ask("greedy")).status.established, 2);
  const { state, established } = (await lab.ask("fine")).status;
  assert.equal(`${state} ${established}`, "Established 1");
});
