import assert from "node:assert/strict";
import { test } from "node:test";
import { prefix } from "../../../src/ip/prefix.ts";
import { address, RibLab, route } from "../../support/rib-lab.ts";

test("what an external peer announces goes to another peer, and goes again", () => {
  const lab = new RibLab();
  const a = lab.peer("10.0.0.2", { remoteAs: 65001 }).up();
  const b = lab.peer("10.0.0.3").up();
  const initial = b.receive();
  assert.deepEqual(
    initial.map((m) => m.endOfRib),
    [4],
  );
  a.receive();
  a.announce(["203.0.113.0/24", "198.51.100.0/24"], route({ path: [65001] }));
  assert.equal(b.readyCount, 1);
  const [update, ...rest] = b.receive();
  assert.deepEqual(rest, []);
  assert.deepEqual(update!.announced, ["203.0.113.0/24", "198.51.100.0/24"]);
  assert.equal(update!.attributes!.localPref, 100);
  assert.equal(update!.attributes!.nextHop, "192.0.2.1");
  assert.deepEqual(a.receive(), []);
  a.withdraw(["203.0.113.0/24"]);
  assert.deepEqual(
    b.receive().map((m) => m.withdrawn),
    [["203.0.113.0/24"]],
  );
  a.down();
  b.receive();
  assert.deepEqual(b.held(), []);
  assert.deepEqual(b.needless, []);
  assert.deepEqual(lab.rib.sizes(), { prefixes: 0, paths: 0, attributeSets: 0 });
});

test("own routes go out as kube-router sends them", () => {
  const lab = new RibLab();
  const a = lab.peer("192.168.50.51").up();
  lab.rib.originate([
    {
      prefix: prefix("10.233.64.0/24"),
      nextHop: address("192.168.50.50"),
      communities: [],
      med: undefined,
    },
  ]);
  const bytes = lab.rib.drainOutput(a.id, 65536);
  assert.equal(
    Buffer.concat(bytes).toString("hex"),
    `${"ff".repeat(16)}0030020000001540010100400200400304c0a8323240050400000064180ae940${"ff".repeat(16)}00170200000000`,
  );
});

test("the number of a peer that is down is free with its last path, whenever that goes", () => {
  const lab = new RibLab({ workAtOnce: 0 });
  const a = lab.peer("10.0.0.2").up();
  a.announce(["203.0.113.0/24", "198.51.100.0/24"]);
  lab.rib.peerDown(a.id, { retainStale: [] });
  assert.notEqual(lab.peer("10.0.0.3").up().id, a.id);
  assert.equal(lab.rib.work(1), true);
  assert.notEqual(lab.peer("10.0.0.4").up().id, a.id);
  lab.settle();
  assert.equal(lab.peer("10.0.0.5").up().id, a.id);
});
