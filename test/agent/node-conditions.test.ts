/** What is said of the source of the Nodes. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { nodeConditions } from "../../src/agent/node-conditions.ts";
import { TopologyReader } from "../../src/agent/node-feed.ts";
import { nodeSnapshot } from "../../src/k8s/node-snapshot.ts";
import type { NodeSourceStatus } from "../../src/k8s/node-source.ts";

const STATUS: NodeSourceStatus = {
  kind: "api",
  origin: "https://192.0.2.1:6443",
  synced: true,
  connected: true,
  lastSync: 0,
  lastError: undefined,
  nodes: 3,
  problems: [],
};

test("a source that works is nothing to speak of", () => {
  assert.deepEqual(nodeConditions(STATUS, undefined), []);
});

test("Nodes that cannot be saved are a warning, the source goes on", () => {
  const notSaved = "/var/lib/podrouter/nodes.json: no space left on the device";
  assert.deepEqual(nodeConditions({ ...STATUS, notSaved }, undefined), [
    {
      name: "not-saved",
      severity: "warning",
      message: `the Nodes cannot be saved for the next start: ${notSaved} (--state-dir)`,
    },
  ]);
});

test("saved Nodes that cannot be used are said until there are others", () => {
  const notLoaded = "/var/lib/podrouter/nodes.json: not JSON";
  assert.deepEqual(nodeConditions({ ...STATUS, synced: false, notLoaded }, undefined), [
    {
      name: "not-loaded",
      severity: "warning",
      message: `the Nodes of the last run cannot be used: ${notLoaded} (--state-dir)`,
    },
  ]);
  assert.deepEqual(nodeConditions({ ...STATUS, notLoaded }, undefined), []);
});

test("a source that cannot be read is named with its reason", () => {
  const lastError = { at: 0, reason: "connect ECONNREFUSED" };
  const [condition] = nodeConditions({ ...STATUS, connected: false, lastError }, undefined);
  assert.equal(condition?.severity, "error");
  assert.match(condition!.message, /API server \(https:\/\/192\.0\.2\.1:6443\): connect ECONN/);
});

test("whether the own Node exists is not known before the source has been read whole", () => {
  const known = nodeSnapshot({
    metadata: { name: "node1", uid: "1" },
    spec: { podCIDRs: ["10.1.0.0/24", "nonsense"] },
    status: { addresses: [{ type: "InternalIP", address: "192.0.2.1" }] },
  });
  assert.ok(!("rejected" in known));
  const ofNode3 = new TopologyReader("node3", [4, 6]).read(new Map([["node1", known]]));
  const lastError = { at: 0, reason: "/etc/kubeconfig: no such file" };
  const names = (status: Partial<NodeSourceStatus>) =>
    nodeConditions({ ...STATUS, ...status }, ofNode3).map(({ name }) => name);
  assert.deepEqual(names({ synced: false, connected: false, lastError }), [
    "source",
    "pod-cidr-invalid node1",
  ]);
  assert.deepEqual(names({}), ["pod-cidr-invalid node1", "own-node-missing node3"]);
  const lost = names({ connected: false, lastError });
  assert.deepEqual(lost, ["source", "pod-cidr-invalid node1", "own-node-missing node3"]);
});
