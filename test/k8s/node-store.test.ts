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

test("what changed is told once, by name, and only what did", () => {
  const store = new NodeStore();
  assert.equal(store.put(nodeObject("node1")), true);
  assert.equal(store.put(nodeObject("node2")), true);
  assert.deepEqual([...store.takeChanged()], ["node1", "node2"]);
  assert.deepEqual([...store.takeChanged()], []);
  assert.equal(store.put(nodeObject("node1")), false);
  assert.equal(store.put({ metadata: { name: 5 } }), false);
  for (const noNode of [5, {}, { metadata: {} }, nodeObject("node3")]) {
    assert.equal(store.remove(noNode), false);
  }
  assert.deepEqual([...store.takeChanged()], []);
  assert.equal(store.remove(nodeObject("node2")), true);
  assert.deepEqual([...store.takeChanged()], ["node2"]);
});

test("a whole list takes the place of all that was known, problems too", () => {
  const store = new NodeStore();
  const listed = (...objects: unknown[]) => {
    const staged = store.stage();
    for (const object of objects) staged.add(object);
    return store.replace(staged);
  };
  assert.equal(listed(nodeObject("node1"), nodeObject("node2")), true);
  store.reject(tooLarge("node1"));
  assert.equal(listed(nodeObject("node2"), nodeObject("node1")), false, "in another order");
  assert.deepEqual(said(store), []);
  assert.equal(listed(nodeObject("node1"), nodeObject("node3")), true, "another name");
  assert.equal(listed(nodeObject("node1"), nodeObject("node3", { uid: "other" })), true);
  assert.equal(listed(nodeObject("node1")), true, "one less");
  assert.equal(listed(nodeObject("node1", { uid: "a" }), nodeObject("node1", { uid: "b" })), true);
  assert.equal(store.nodes.get("node1")?.uid, "a");
  assert.deepEqual(said(store), ["Node node1: is there twice"]);
});

test("what is known of a Node that cannot be read stays, unless the list says more", () => {
  const store = new NodeStore();
  store.put(nodeObject("node1", { uid: "known" }));
  store.put(nodeObject("node2", { uid: "known" }));
  const staged = store.stage();
  staged.add(nodeObject("node1", { uid: "new" }));
  for (const name of ["node1", "node2", "node3"]) staged.keep(name);
  store.replace(staged);
  assert.deepEqual(
    [...store.nodes].map(([name, { uid }]) => [name, uid]),
    [
      ["node1", "new"],
      ["node2", "known"],
    ],
  );
});

test("a list has its bounds: of Nodes, and of what is said about those beyond", () => {
  const store = new NodeStore();
  const staged = store.stage();
  for (let i = 0; i < NODES_MAX + 1000; i++) staged.add(nodeObject(`node${i}`));
  store.replace(staged);
  assert.equal(store.size, NODES_MAX);
  assert.equal(store.problems[0]?.node, `node${NODES_MAX}`);
  assert.equal(store.problems.length, 64);
  // Full: no further one, but what is new of one that is there.
  store.reject(tooLarge("other"));
  store.reject(tooLarge(`node${NODES_MAX}`, 2));
  assert.equal(store.problems.length, 64);
  assert.equal(said(store)[0], `Node node${NODES_MAX}: is 2 too large`);
});

test("objects without a name are told apart by what is wrong with them", () => {
  const store = new NodeStore();
  for (const text of ["is not JSON", "is too large", "is not JSON"]) {
    store.reject(unreadableObject(undefined, text));
  }
  assert.deepEqual(said(store), [
    "an object of the API is not JSON",
    "an object of the API is too large",
  ]);
});
