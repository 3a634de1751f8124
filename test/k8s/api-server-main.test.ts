/** The embedded API server as a program, as demo and cluster tests start it. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { CoreV1Api, KubeConfig } from "@kubernetes/client-node";
import { Daemon } from "../support/shell.ts";

const MAIN = join(import.meta.dirname, "..", "support", "api-server", "main.ts");

const NODES = `
kind: List
items:
- {kind: Node, metadata: {name: node1, resourceVersion: "7"}, spec: {podCIDR: 10.233.64.0/24}}
- {kind: Node, metadata: {name: node2}}
`;

function program(t: TestContext, ...args: string[]): Daemon {
  const running = new Daemon("api-server", process.execPath, [MAIN, ...args]);
  t.after(() => running.stop("SIGKILL"));
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
  assert.equal(await server.stop(), 0);
});

test("says what is wrong with its arguments", async (t) => {
  const wrong = program(t, "--listen", "nowhere");
  assert.equal(await wrong.exited, 1);
  assert.match(wrong.output, /--listen nowhere: expected ADDRESS:PORT/);
});
