/** What is left after closing: no file descriptor, and nothing that keeps the process alive. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { test } from "node:test";
import { RouteNetlink } from "../src/index.ts";

const LISTENER = { onEvent() {}, onOverrun() {} };

const openFiles = () => readdirSync("/proc/self/fd").length;

test("every socket and monitor that is closed, or whose scope ends, gives its descriptors back", async () => {
  const cycle = async () => {
    const netlink = new RouteNetlink();
    const monitor = netlink.monitor({ topics: ["route", "link"] }, LISTENER);
    await netlink.links.list();
    monitor.close();
    netlink.close();
  };
  const scope = async () => {
    using netlink = new RouteNetlink();
    using _monitor = netlink.monitor({ topics: ["route", "link"] }, LISTENER);
    await netlink.links.list();
  };
  // The first one opens what the process keeps: libuv's poll.
  await cycle();
  const before = openFiles();
  for (let i = 0; i < 50; i++) await cycle();
  for (let i = 0; i < 50; i++) await scope();
  assert.equal(openFiles(), before);
});

const INDEX = new URL("../src/index.ts", import.meta.url).href;

/** Runs a program against the index, at most a minute; what it prints. */
function run(program: string): string {
  const source = `import { RouteNetlink } from ${JSON.stringify(INDEX)};\n${program}`;
  const child = spawnSync(process.execPath, ["--input-type=module", "--eval", source], {
    encoding: "utf8",
    timeout: 60_000,
  });
  assert.equal(child.signal, null, `ended by itself; ${child.stderr}`);
  assert.equal(child.status, 0, child.stderr);
  return child.stdout.trim();
}

test("a process ends by itself after close", () => {
  const program = `
    const netlink = new RouteNetlink();
    const monitor = netlink.monitor({ topics: ["route"] }, { onEvent() {}, onOverrun() {} });
    const links = await netlink.links.list();
    console.log(links[0].name);
    monitor.close();
    netlink.close();`;
  assert.equal(run(program), "lo");
});

test("an open request socket, or a monitor after unref, does not keep a process alive", () => {
  const program = `
    const netlink = new RouteNetlink();
    netlink.monitor({ topics: ["route"] }, { onEvent() {}, onOverrun() {} }).unref();
    console.log("end");`;
  assert.equal(run(program), "end");
});
