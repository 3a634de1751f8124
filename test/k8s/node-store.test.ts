/** What cannot be used is said for as long as it holds, however long no whole list is read. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { NODES_MAX } from "../../src/k8s/limits.ts";
import { unreadableObject } from "../../src/k8s/node-list.ts";
import { NodeStore } from "../../src/k8s/node-store.ts";
import { nodeObject } from "./node-objects.ts";

const tooLarge = (node: string, by = 1) => unreadableObject(node, `is ${by} too large`);
const said = (store: NodeStore) => store.problems.map(({ message }) => message.split(";", 1)[0]);

test("a Node that can be read again is a problem no more, nor one that is gone", () => {
  const store = new NodeStore();
  store.put(nodeObject("node1"));
  store.reject(tooLarge("node1"));
  store.reject(tooLarge("node2"));
  assert.deepEqual(said(store), ["Node node1: is 1 too large", "Node node2: is 1 too large"]);
  // As it was: no news for who follows the Nodes, and yet the problem is over.
  assert.equal(store.put(nodeObject("node1")), false);
  assert.deepEqual(said(store), ["Node node2: is 1 too large"]);
  assert.equal(store.remove(nodeObject("node2")), false);
  assert.deepEqual(said(store), []);
});

test("of one Node the last problem counts, and Nodes that come and go leave room for others", () => {
  const store = new NodeStore();
  for (let i = 0; i < 1000; i++) store.reject(tooLarge("node1", i));
  assert.deepEqual(said(store), ["Node node1: is 999 too large"]);
  for (let i = 0; i < 1000; i++) {
    store.reject(tooLarge(`short${i}`));
    store.remove(nodeObject(`short${i}`));
  }
  store.reject(tooLarge("node2"));
  assert.deepEqual(
    store.problems.map(({ node }) => node),
    ["node1", "node2"],
  );
});

test("one Node too many is ignored until there is room for it", () => {
  const store = new NodeStore();
  for (let i = 0; i < NODES_MAX; i++) store.put(nodeObject(`node${i}`));
  assert.equal(store.put(nodeObject("late")), false);
  assert.match(said(store).join(), /^Node late: is one more than/);
  store.remove(nodeObject("node0"));
  assert.equal(store.put(nodeObject("late")), true);
  assert.deepEqual(said(store), []);
});
