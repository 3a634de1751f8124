/** The embedded API server as a program, as demo and cluster tests start it. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { CoreV1Api, KubeConfig } from "@kubernetes/client-node";

const MAIN = join(import.meta.dirname, "..", "support", "api-server", "main.ts");

const NODES = `
kind: List
items:
- {kind: Node, metadata: {name: node1, resourceVersion: "7"}, spec: {podCIDR: 10.233.64.0/24}}
- {kind: Node, metadata: {name: node2}}
`;

interface Program {
  readonly child: ChildProcess;
  readonly ended: Promise<number | null>;
  output: string;
}

function program(t: TestContext, ...args: string[]): Program {
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: ["ignore", "pipe", "pipe"] });
  const ended = once(child, "exit").then(([code]) => code as number | null);
  const running: Program = { child, ended, output: "" };
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (text: Buffer) => {
      running.output += text.toString();
    });
  }
  t.after(() => child.kill("SIGKILL"));
  return running;
}

test("serves the Nodes of a file, writes a kubeconfig, ends cleanly when told", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "podrouter-api-"));
  t.after(() => rm(folder, { recursive: true }));
  const [nodes, kubeconfig] = [join(folder, "nodes.yaml"), join(folder, "kubeconfig")];
  await writeFile(nodes, NODES);
  const listen = ["--listen", "127.0.0.1:0", "--nodes", nodes, "--kubeconfig-out", kubeconfig];
  const server = program(t, ...listen);
  await once(server.child.stdout!, "data");
  assert.match(server.output, /^api-server: 2 Nodes on http:\/\/127\.0\.0\.1:\d+\n$/);
  assert.equal((await stat(kubeconfig)).mode & 0o777, 0o600);
  const config = new KubeConfig();
  config.loadFromFile(kubeconfig);
  const list = await config.makeApiClient(CoreV1Api).listNode();
  assert.deepEqual(
    list.items.map((node) => node.metadata?.name),
    ["node1", "node2"],
  );
  server.child.kill("SIGTERM");
  assert.equal(await server.ended, 0);
});

test("says what is wrong with its arguments", async (t) => {
  const wrong = program(t, "--listen", "nowhere");
  assert.equal(await wrong.ended, 1);
  assert.match(wrong.output, /--listen nowhere: expected ADDRESS:PORT/);
});
