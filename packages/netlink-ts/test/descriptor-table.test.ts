import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { growDescriptorTable, linuxSys } from "../src/index.ts";

const INDEX = join(import.meta.dirname, "..", "src", "index.ts");

function tableSize(status = readFileSync("/proc/self/status", "utf8")): number {
  return Number(/^FDSize:\s+(\d+)$/m.exec(status)![1]);
}

test("descriptors have the room that was asked for, and none is left open", async () => {
  const open = readdirSync("/proc/self/fd").length;
  // Who starts us may have given us a large one.
  const wanted = tableSize() * 2;
  assert.equal(await growDescriptorTable(wanted), true);
  assert.ok(tableSize() >= wanted, `${tableSize()}, not ${wanted}`);
  assert.equal(readdirSync("/proc/self/fd").length, open);
  assert.equal(await growDescriptorTable(100), true, "which is there already");
});

test("however many ask at a time, other calls find a thread and a place", async () => {
  const answers = Array.from({ length: 300 }, () => growDescriptorTable(tableSize()));
  // More than koffi carries out at a time, if all were calls of it: then it rejects this one.
  assert.ok((await linuxSys.sendAsync(-1, new Uint8Array(1), 1)) < 0);
  assert.equal(await growDescriptorTable(64), true);
  assert.ok((await Promise.all(answers)).every((answer) => answer));
});

test("it has no more than the limit allows", () => {
  const program = `
    const { growDescriptorTable } = await import(${JSON.stringify(INDEX)});
    const { readFileSync } = await import("node:fs");
    const grown = await growDescriptorTable(100_000);
    console.log(grown + readFileSync("/proc/self/status", "utf8"));`;
  const script = 'ulimit -n 600 && exec "$0" --input-type=module -e "$1"';
  const told = execFileSync("sh", ["-c", script, process.execPath, program], { encoding: "utf8" });
  assert.match(told, /^true/);
  assert.equal(tableSize(told), 1024);
});

test("where the kernel refuses, it says so", async () => {
  assert.equal(await growDescriptorTable(0), false);
});
