/** The log: both formats, no secrets, no blocking. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { LogSink } from "../../src/agent/log-sink.ts";
import { createLogger, type LoggerOptions } from "../../src/agent/logger.ts";
import { run } from "../support/shell.ts";

function logged(
  t: TestContext,
  options: Partial<LoggerOptions>,
  write: (logger: ReturnType<typeof createLogger>) => void,
): string[] {
  const folder = mkdtempSync(join(tmpdir(), "podrouter-log-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const file = join(folder, "log");
  const fd = openSync(file, "w");
  const base = { node: "node1" };
  const logger = createLogger({ level: "info", format: "json", fd, base, ...options });
  write(logger);
  closeSync(fd);
  return readFileSync(file, "utf8").trimEnd().split("\n");
}

test("JSON has time, level, node, fields and a constant message", (t) => {
  const [line] = logged(t, {}, (logger) => {
    logger.child({ peer: "node2" }).info({ to: "Established" }, "state changed");
  });
  const { time, ...rest } = JSON.parse(line!) as Record<string, unknown>;
  assert.match(String(time), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  assert.deepEqual(rest, {
    level: "info",
    node: "node1",
    peer: "node2",
    to: "Established",
    msg: "state changed",
  });
});

test("text is for eyes, and values cannot break the line", (t) => {
  const lines = logged(t, { format: "text" }, (logger) => {
    logger.warn({ reason: 'two words\nand "a line"', count: 3 }, "odd");
  });
  assert.equal(lines.length, 1);
  assert.match(
    lines[0]!,
    /^\S+Z WARN {2}odd node=node1 reason="two words\\nand \\"a line\\"" count=3$/,
  );
});

test("levels below the chosen one are left out", (t) => {
  const write = (logger: ReturnType<typeof createLogger>): void => {
    logger.trace({}, "one");
    logger.debug({}, "two");
    logger.info({}, "three");
  };
  assert.equal(logged(t, {}, write).length, 1);
  assert.equal(logged(t, { level: "debug" }, write).length, 2);
  assert.equal(logged(t, { level: "trace" }, write).length, 3);
});

test("secrets never reach it, wherever they stand", (t) => {
  const cause = Object.assign(new Error("refused"), { headers: { authorization: "hunter2" } });
  const error = Object.assign(new Error("watch ended", { cause }), {
    code: "ECONNRESET",
    options: { token: "hunter2" },
  });
  const lines = logged(t, {}, (logger) => {
    logger.info({ password: "hunter2", peer: { password: "hunter2" } }, "a");
    logger.info({ config: { auth: { token: "hunter2" } }, headers: ["hunter2"] }, "b");
    logger.error({ err: error }, "c");
  });
  assert.ok(!lines.join("\n").includes("hunter2"), lines.join("\n"));
  assert.deepEqual((JSON.parse(lines[2]!) as { err: unknown }).err, {
    type: "Error",
    message: "watch ended",
    code: "ECONNRESET",
    causes: ["refused"],
  });
});

test("no depth, list, child or form of an object hides a secret", (t) => {
  const secret = { password: "hunter2", kept: 1 };
  const odd = Object.assign(new Error("odd"), { headers: "hunter2" });
  const lines = logged(t, {}, (logger) => {
    logger.info({ a: { b: { c: { d: { e: secret } } } } }, "deep");
    logger.info({ list: [1, [secret, "x"]] }, "list");
    logger.info({ made: { hidden: 1, toJSON: () => ({ now: secret }) } }, "made");
    logger
      .child({ peer: secret, token: "hunter2" })
      .child({ two: [secret] })
      .info({}, "child");
    logger.info({ odd, list: [odd] }, "error under another name");
    logger.info({ err: { token: "hunter2" }, cause: "text" }, "thrown, but no error");
  });
  assert.ok(!lines.join("\n").includes("hunter2"), lines.join("\n"));
  const shown = { password: "[redacted]", kept: 1 };
  const fields = lines.map((line) => {
    const { time: _, level: _l, node: _n, msg: _m, ...rest } = JSON.parse(line);
    return rest as Record<string, unknown>;
  });
  assert.deepEqual(fields[0], { a: { b: { c: { d: { e: shown } } } } });
  assert.deepEqual(fields[1], { list: [1, [shown, "x"]] });
  assert.deepEqual(fields[2], { made: { now: shown } });
  assert.deepEqual(fields[3], { peer: shown, token: "[redacted]", two: [shown] });
  assert.equal((fields[4]?.["odd"] as { message?: unknown } | undefined)?.message, "odd");
  assert.deepEqual(fields[5], { err: "object", cause: "text" });
  assert.deepEqual(secret, { password: "hunter2", kept: 1 });
});

test("what refers to itself is cut, not followed", (t) => {
  const knot: Record<string, unknown> = { token: "hunter2", kept: 1 };
  knot["self"] = knot;
  const [line] = logged(t, {}, (logger) => logger.info({ knot }, "a"));
  assert.match(line!, /"kept":1/);
  assert.ok(!line!.includes("hunter2"), line);
});

test("a line for which a disk has no room left spoils no other", (t) => {
  const folder = mkdtempSync(join(tmpdir(), "podrouter-log-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const fd = openSync(join(folder, "log"), "w");
  let [room, written] = [10, ""];
  // As the kernel does it: what fits is taken, and only then there is an error.
  const sink = new LogSink(fd, (_fd, octets) => {
    const taken = octets.subarray(0, room);
    if (taken.length === 0) throw new Error("ENOSPC");
    room -= taken.length;
    written += Buffer.from(taken).toString();
    return taken.length;
  });
  for (const line of ["1234567\n", "abcdefg\n", "lost\n"]) sink.write(line);
  assert.deepEqual([written, sink.dropped], ["1234567\nab", 2]);
  room = 100;
  for (const line of ["whole\n", "again\n"]) sink.write(line);
  closeSync(fd);
  assert.deepEqual([written, sink.dropped], ["1234567\nab\nwhole\nagain\n", 2]);
});

test("what nobody reads is dropped and counted, and nothing waits for it", async () => {
  const logger = new URL("../../src/agent/logger.ts", import.meta.url).href;
  const code = `
    import { createLogger } from ${JSON.stringify(logger)};
    const logger = createLogger({ level: "info", format: "json", fd: 2, base: {} });
    for (let i = 0; i < 10_000; i++) logger.info({ text: "x".repeat(1000) }, "line");
    await logger.drain();
    process.stdout.write(String(logger.dropped()));
    process.exit(0);`;
  // Its standard error is a pipe that this test does not read.
  const child = spawn(process.execPath, ["--input-type=module", "-e", code], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  const [dropped] = (await once(child.stdout, "data")) as [Buffer];
  assert.ok(Number(dropped.toString()) > 1000, `dropped ${dropped.toString()}`);
  child.stderr.resume();
  assert.deepEqual(await once(child, "close"), [0, null]);
});

test("the last lines of a process arrive", async () => {
  const logger = new URL("../../src/agent/logger.ts", import.meta.url).href;
  const code = `
    import { createLogger } from ${JSON.stringify(logger)};
    const logger = createLogger({ level: "info", format: "json", fd: 2, base: {} });
    for (let i = 0; i < 500; i++) logger.info({ text: "x".repeat(1000) }, "line");
    logger.fatal({}, "the end");
    await logger.drain();
    process.exit(1);`;
  const result = await run(process.execPath, ["--input-type=module", "-e", code]);
  assert.equal(result.status, 1);
  assert.equal(result.stderr.trimEnd().split("\n").length, 501);
  assert.match(result.stderr, /"msg":"the end"\}\n$/);
});
