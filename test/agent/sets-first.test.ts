/** The order in which a change of the Nodes takes effect. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type Known, SetsFirst } from "../../src/agent/sets-first.ts";
import type { TopologyChange } from "../../src/k8s/topology-step.ts";
import { ip } from "../support/speakers.ts";

function known(node: string): Known {
  const nodeIps = [ip(node)];
  const topology = { self: undefined, peers: [], podSubnets: [], nodeIps, problems: [] };
  return { topology, complete: true };
}

function change(node: string, there: boolean): TopologyChange {
  return { peers: new Map(), podSubnets: new Map(), nodeIps: new Map([[ip(node), there]]) };
}

/** Sets that are filled when the test says so. */
function setUp() {
  const steps: string[] = [];
  const filled: (() => void)[] = [];
  const words = ({ topology }: Known, changed: TopologyChange | "all") =>
    `${topology.nodeIps} (${changed === "all" ? changed : [...changed.nodeIps].join(" ")})`;
  const order = new SetsFirst(
    (to, changed) => {
      steps.push(`sets ${words(to, changed)}`);
      return new Promise((resolve) => filled.push(resolve));
    },
    (to, changed) => steps.push(`rest ${words(to, changed)}`),
  );
  return {
    order,
    steps,
    /** Fills what is on its way. */
    async fill() {
      filled.shift()?.();
      await new Promise(setImmediate);
    },
  };
}

test("the rest is told of what the sets have, and of nothing that came since", async () => {
  const { order, steps, fill } = setUp();
  order.take(known("192.0.2.1"), "all");
  order.take(known("192.0.2.2"), change("192.0.2.2", true));
  order.take(known("192.0.2.3"), change("192.0.2.3", true));
  assert.deepEqual(steps, ["sets 192.0.2.1 (all)"]);
  await fill();
  const both = "192.0.2.3 (192.0.2.2,true 192.0.2.3,true)";
  assert.deepEqual(steps.slice(1), ["rest 192.0.2.1 (all)", `sets ${both}`]);
  await fill();
  assert.deepEqual(steps.slice(3), [`rest ${both}`]);
});

test("a change whenever the sets are being filled holds the rest up for one filling", async () => {
  const { order, steps, fill } = setUp();
  order.take(known("192.0.2.0"), "all");
  for (let i = 1; i <= 50; i++) {
    const node = `192.0.2.${i}`;
    order.take(known(node), change(node, true));
    await fill();
    const rest = steps.filter((step) => step.startsWith("rest"));
    assert.equal(rest.length, i);
    assert.ok(rest[i - 1]?.startsWith(`rest 192.0.2.${i - 1} `), rest[i - 1]);
  }
});
