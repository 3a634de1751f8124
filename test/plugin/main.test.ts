/** The executable podrouter-cni by itself: what it says when there is no agent, or a strange one. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, type TestContext, test } from "node:test";
import { CONFIG_BYTES_MAX } from "../../src/cni/plugin/limits.ts";

const PROGRAM = join(import.meta.dirname, "..", "..", "bin", "podrouter-cni");
const folder = mkdtempSync(join(tmpdir(), "podrouter-plugin-"));
after(() => rmSync(folder, { recursive: true }));

const socket = join(folder, "cni.sock");
const leases = join(folder, "leases.json");
const CONFIG = { cniVersion: "1.1.0", name: "mynet", type: "podrouter-cni", socket, leases };

interface Said {
  readonly status: number | null;
  readonly output: string;
}

function call(
  command: string | undefined,
  config: object | string = {},
  environment: Readonly<Record<string, string>> = {},
): Promise<Said> {
  const child = spawn(PROGRAM, [], {
    env: {
      PATH: process.env["PATH"],
      CNI_CONTAINERID: "c1",
      CNI_NETNS: "/run/netns/none",
      CNI_IFNAME: "eth0",
      ...(command === undefined ? {} : { CNI_COMMAND: command }),
      ...environment,
    },
    stdio: ["pipe", "pipe", "inherit"],
  });
  const text = typeof config === "string" ? config : JSON.stringify({ ...CONFIG, ...config });
  child.stdin.on("error", () => undefined);
  child.stdin.end(text);
  let output = "";
  child.stdout.on("data", (chunk: Buffer) => (output += chunk.toString()));
  return new Promise((resolve) => child.on("close", (status) => resolve({ status, output })));
}

/** Exit status and code of the error. */
async function code(...args: Parameters<typeof call>): Promise<readonly [number | null, number]> {
  const { status, output } = await call(...args);
  return [status, JSON.parse(output === "" ? "{}" : output).code];
}

test("VERSION is answered without an agent", async () => {
  assert.deepEqual(await call("VERSION", { cniVersion: "1.0.0" }), {
    status: 0,
    output: '{"cniVersion":"1.0.0","supportedVersions":["0.3.0","0.3.1","0.4.0","1.0.0","1.1.0"]}',
  });
  assert.equal((await call("VERSION", "")).status, 0);
});

test("without an agent: try again later, at once; only an empty DEL succeeds", async () => {
  const begun = performance.now();
  assert.deepEqual(await code("ADD"), [1, 11]);
  assert.deepEqual(await code("STATUS"), [1, 50]);
  assert.deepEqual(await code("GC", { "cni.dev/valid-attachments": [] }), [1, 11]);
  assert.deepEqual(await call("DEL"), { status: 0, output: "" });
  assert.ok(performance.now() - begun < 10_000);
  const lease = { network: "mynet", containerId: "c1", interfaceName: "eth0" };
  const file = { format: 1, last: {}, leases: [{ ...lease, addresses: ["10.0.0.2"] }] };
  writeFileSync(leases, JSON.stringify(file));
  assert.deepEqual(await code("DEL"), [1, 11]);
  assert.deepEqual(await call("DEL", {}, { CNI_CONTAINERID: "c2" }), { status: 0, output: "" });
  writeFileSync(leases, "damaged");
  assert.deepEqual(await code("DEL", {}, { CNI_CONTAINERID: "c2" }), [1, 11]);
  rmSync(leases);
});

test("calls that are wrong are refused before the agent is asked", async () => {
  assert.deepEqual(await code(undefined), [1, 4]);
  assert.deepEqual(await code("ADD", {}, { CNI_IFNAME: "a/b" }), [1, 4]);
  assert.deepEqual(await code("ADD", "{"), [1, 6]);
  assert.deepEqual(await code("ADD", " ".repeat(CONFIG_BYTES_MAX + 70_000)), [1, 6]);
  assert.deepEqual(await code("ADD", { cniVersion: "0.2.0" }), [1, 1]);
  assert.deepEqual(await code("CHECK", { cniVersion: "0.3.1" }), [1, 1]);
  assert.deepEqual(await code("ADD", { mtu: "x" }), [1, 7]);
  const { output } = await call("ADD", { cniVersion: "0.3.1", mtu: "x" });
  assert.equal(JSON.parse(output).cniVersion, "0.3.1");
});

test("options for Node.js in the runtime's environment do no harm", async () => {
  const strange = { NODE_OPTIONS: "--require=/nowhere.js", NODE_PATH: "/nowhere" };
  assert.equal((await call("VERSION", {}, strange)).status, 0);
});

/** An agent that says `answer` to whatever it is asked; "close" = it ends the connection. */
async function agent(t: TestContext, answer: string): Promise<string[]> {
  const asked: string[] = [];
  const server = createServer((connection) => {
    connection.on("error", () => undefined);
    connection.on("data", (chunk) => {
      asked.push(chunk.toString());
      connection.end(answer);
    });
  });
  await new Promise<void>((resolve) => server.listen(socket, resolve));
  t.after(() => server.close());
  return asked;
}

test("what the agent says is printed as it is", async (t) => {
  const asked = await agent(t, `${JSON.stringify({ status: 0, output: '{"ips":["ü"]}' })}\n`);
  assert.deepEqual(await call("ADD"), { status: 0, output: '{"ips":["ü"]}' });
  const said = JSON.parse(asked.join("")) as { env: Record<string, string>; config: string };
  assert.deepEqual(said.env, {
    CNI_COMMAND: "ADD",
    CNI_CONTAINERID: "c1",
    CNI_NETNS: "/run/netns/none",
    CNI_IFNAME: "eth0",
  });
  assert.deepEqual(JSON.parse(said.config), CONFIG);
});

test("an agent that fails says so by its status", async (t) => {
  await agent(t, `${JSON.stringify({ status: 1, output: '{"code":101}' })}\n`);
  assert.deepEqual(await code("ADD"), [1, 101]);
});

for (const answer of ["", "what?\n", '{"status":7,"output":""}\n', '{"status":0,"out']) {
  test(`an agent that dies or talks nonsense (${JSON.stringify(answer)}): again later`, async (t) => {
    await agent(t, answer);
    assert.deepEqual(await code("ADD"), [1, 11]);
  });
}
