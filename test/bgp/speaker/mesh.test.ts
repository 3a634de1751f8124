/** Many speakers: a full mesh comes up, exchanges, and survives the loss of a member. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type TestNode, World } from "../../support/speakers.ts";

const SIZE = 200;

function mesh(world: World, size: number): TestNode[] {
  const nodes = Array.from({ length: size }, (_, i) =>
    world.node(`192.0.${2 + (i >> 8)}.${i & 255}`),
  );
  nodes.forEach((node, i) => {
    node.peers(nodes.filter((other) => other !== node)).originate(`10.${i >> 8}.${i & 255}.0/24`);
  });
  return nodes;
}

function routeCount(node: TestNode): number {
  return node.routes().length;
}

test(`${SIZE} speakers that start together are a full mesh within seconds`, () => {
  const world = new World({ latencyMs: 1 });
  const nodes = mesh(world, SIZE);
  for (const node of nodes) node.speaker.start();
  const start = world.clock.now();
  let took = 0;
  while (took < 10_000 && !nodes.every((node) => node.speaker.converged())) {
    world.advance(50);
    took = world.clock.now() - start;
  }
  assert.ok(took < 1_500, `${took} ms`);
  for (const node of nodes) assert.equal(routeCount(node), SIZE - 1);
  // One session a pair; crossing dials cost a few connections more, not a second try.
  const pairs = (SIZE * (SIZE - 1)) / 2;
  assert.ok(world.network.dials < pairs * 1.6, `${world.network.dials} dials`);
  const flaps = nodes.flatMap((node) => node.speaker.peers().map((peer) => peer.flaps));
  assert.equal(flaps.length, SIZE * (SIZE - 1));
  assert.ok(flaps.every((count) => count === 0));

  const [first, second] = nodes as [TestNode, TestNode];
  first.speaker.setPeers(first.speaker.peers().length > 0 ? [] : []);
  world.advance(20);
  assert.equal(routeCount(first), 0);
  assert.equal(routeCount(second), SIZE - 2);
});

test("agents that start one after the other, as a rollout does", () => {
  const world = new World({ latencyMs: 1 });
  const nodes = mesh(world, 40);
  for (const node of nodes) {
    node.speaker.start();
    world.advance(170);
  }
  world.advance(500);
  for (const node of nodes) assert.equal(routeCount(node), 39);
});

test("every agent restarts in turn: no route is ever missing, none is stale in the end", () => {
  const world = new World({ latencyMs: 1 });
  const nodes = mesh(world, 12);
  for (const node of nodes) node.speaker.start();
  world.until(() => nodes.every((node) => node.speaker.converged()), "mesh");
  const watcher = nodes[0]!;
  const gone: string[] = [];
  watcher.speaker.onBestChange((routes) => {
    for (const { prefix, nextHops } of routes) if (nextHops.length === 0) gone.push(prefix);
  });
  for (const [i, node] of nodes.entries()) {
    if (i === 0) continue;
    node.speaker.stop({ notify: false });
    world.advance(800);
    node.restart({ restarted: true });
    node.peers(nodes.filter((other) => other !== node)).originate(`10.0.${i}.0/24`);
    node.speaker.start();
    const took = world.until(() => node.speaker.converged(), `node ${i}`);
    assert.ok(took < 2_000, `${took} ms`);
    world.advance(1_000);
  }
  assert.deepEqual(gone, []);
  assert.equal(routeCount(watcher), 11);
  assert.ok(watcher.routes().every((text) => !text.includes("stale")));
});
