/** What other decoders make of our messages: tcpdump and tshark must have nothing to complain. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, type TestContext, test } from "node:test";
import { MessageFramer } from "../../../src/bgp/message/framer.ts";
import { PcapWriter } from "../../support/pcap.ts";
import { requireReal } from "../../support/real.ts";
import {
  encodeKeepalive,
  fullMessages,
  fullOpen,
  notifications,
  refreshes,
  updates,
} from "./exchange.ts";
import { seed } from "./seed.ts";
import { renderMessage } from "./tcpdump-message.ts";

const CLIENT = { address: [192, 168, 50, 50], port: 54_651 } as const;
const SERVER = { address: [192, 168, 50, 52], port: 179 } as const;

let folder = "";
before(() => {
  folder = mkdtempSync(join(tmpdir(), "podrouter-pcap-"));
});
after(() => rmSync(folder, { recursive: true, force: true }));

function has(program: string): boolean {
  try {
    execFileSync(program, ["--version"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

function run(program: string, options: readonly string[], pcap: Uint8Array): string {
  const file = join(folder, "capture.pcap");
  writeFileSync(file, pcap);
  const stdio: ["ignore", "pipe", "ignore"] = ["ignore", "pipe", "ignore"];
  const limits = { stdio, maxBuffer: 64 << 20, timeout: 60_000 };
  return execFileSync(program, [...options, "-r", file], { ...limits, encoding: "utf8" });
}

/** A session as it goes, with messages of every kind; both directions. */
function exchange(): PcapWriter {
  const writer = new PcapWriter(CLIENT, SERVER);
  writer.send(fullOpen());
  writer.reply(seed.openOfNode3);
  writer.send(encodeKeepalive());
  writer.reply(encodeKeepalive());
  for (const message of messagesOf(updates(true))) writer.send(message);
  for (const message of messagesOf(fullMessages())) writer.send(message);
  for (const message of refreshes()) writer.send(message);
  for (const message of notifications()) writer.reply(message);
  return writer;
}

function messagesOf(stream: Uint8Array): Uint8Array[] {
  const framer = new MessageFramer();
  const list: Uint8Array[] = [];
  framer.feed(stream);
  while (framer.next()) list.push(framer.buffer.slice(framer.start, framer.end));
  return list;
}

/** tcpdump has no decoder for these capabilities, in the version of the seed neither. */
const WITHOUT_DECODER = [5, 6, 70, 71, 73, 75].map((code) => `no decoder for Capability ${code}`);

test("tcpdump -v decodes everything that we send", (t) => {
  if (!requireReal(t, has("tcpdump"), "needs tcpdump")) return;
  const text = run("tcpdump", ["-v", "-n", "-s", "0"], exchange().toBytes());
  for (const complaint of ["[|bgp]", "invalid", "truncated", "incorrect", "Unknown Message"]) {
    assert.ok(!text.includes(complaint), `${complaint} in:\n${text}`);
  }
  const missing = text.match(/no decoder for Capability \d+|no Attribute \d+ decoder/g) ?? [];
  for (const line of missing) assert.ok(WITHOUT_DECODER.includes(line), line);
  const count = (name: string) => text.split(`\t${name}`).length - 1;
  assert.equal(count("Open Message (1)"), 2);
  assert.equal(count("Keepalive Message (4)"), 2);
  assert.equal(count("Route Refresh Message (5)"), refreshes().length);
  assert.equal(count("Notification Message (3)"), notifications().length);
  assert.equal(count("Update Message (2), length: 409"), 3, "full messages of 4096 octets or near");
});

test("tshark -V finds nothing malformed", (t) => {
  if (!requireReal(t, has("tshark"), "needs tshark")) return;
  const text = run("tshark", ["-V"], exchange().toBytes());
  for (const complaint of ["Malformed", "Expert Info (Error", "Expert Info (Warning/Protocol"]) {
    assert.ok(!text.includes(complaint), firstLines(text, complaint));
  }
  assert.equal(text.split("Border Gateway Protocol - OPEN Message").length - 1, 2);
  assert.equal(
    text.split("Border Gateway Protocol - ROUTE-REFRESH Message").length - 1,
    refreshes().length,
  );
  assert.ok(text.includes("Border Gateway Protocol - NOTIFICATION Message"));
});

test("tshark -V finds nothing malformed towards a peer without 4-octet AS", (t) => {
  if (!requireReal(t, has("tshark"), "needs tshark")) return;
  const writer = new PcapWriter(CLIENT, SERVER);
  for (const message of messagesOf(updates(false))) writer.send(message);
  const options = ["-V", "-o", "bgp.asn_len:2"];
  const text = run("tshark", options, writer.toBytes());
  assert.ok(!text.includes("Malformed"), firstLines(text, "Malformed"));
  assert.ok(text.includes("AS4_PATH") && text.includes("AS4_AGGREGATOR"));
});

function firstLines(text: string, around: string): string {
  const at = text.indexOf(around);
  return text.slice(Math.max(0, at - 600), at + 200);
}

/** Lines of BGP in tcpdump's output: one tab taken off, the others as eight spaces. */
function bgpLines(text: string): string[] {
  const inner = text.split("\n").filter((line) => line.startsWith("\t"));
  return inner.map((line) => spaces(line.slice(1).replaceAll("\t", "        ")));
}

/** The indent stays; more than one space further on is one. */
function spaces(line: string): string {
  const indent = /^ */.exec(line)?.[0] ?? "";
  return indent + line.trim().replaceAll(/ +/g, " ");
}

const COMPARED: readonly (readonly [string, () => readonly Uint8Array[]])[] = [
  ["the seed's exchange", () => Object.values(seed)],
  ["ROUTE-REFRESH", refreshes],
  // tcpdump does not know IPv6 next hops of IPv4 (RFC 8950), which come behind these.
  ["UPDATEs", () => messagesOf(updates(true)).slice(0, 3)],
  ["End-of-RIB", () => messagesOf(updates(true)).slice(-2)],
];

for (const [name, messages] of COMPARED) {
  test(`renderMessage writes what tcpdump writes: ${name}`, (t: TestContext) => {
    if (!requireReal(t, has("tcpdump"), "needs tcpdump")) return;
    const writer = new PcapWriter(CLIENT, SERVER);
    for (const message of messages()) writer.send(message);
    const theirs = bgpLines(run("tcpdump", ["-v", "-n"], writer.toBytes()));
    const ours = messages().flatMap((message) => renderMessage(message, 0, message.length));
    assert.deepEqual(ours.map(spaces), theirs);
  });
}

test("renderMessage writes the OPEN of the seed", () => {
  const lines = renderMessage(seed.openOfNode3, 0, 70);
  assert.deepEqual(lines.slice(0, 3), [
    "Open Message (1), length: 70",
    "  Version 4, my AS 64512, Holdtime 90s, ID 192.168.50.52",
    "  Optional parameters, length: 41",
  ]);
  assert.ok(lines.includes("        Restart Flags: [R], Restart Time 90s"));
  assert.ok(lines.includes("        0x0000:  056e 6f64 6533 00"));
});
