/** What is said of the source of the Nodes. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { nodeConditions } from "../../src/agent/node-conditions.ts";
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
      message: `the Nodes cannot be saved for a start without their source: ${notSaved}`,
    },
  ]);
});

test("a source that cannot be read is named with its reason", () => {
  const lastError = { at: 0, reason: "connect ECONNREFUSED" };
  const [condition] = nodeConditions({ ...STATUS, connected: false, lastError }, undefined);
  assert.equal(condition?.severity, "error");
  assert.match(condition!.message, /API server \(https:\/\/192\.0\.2\.1:6443\): connect ECONN/);
});
