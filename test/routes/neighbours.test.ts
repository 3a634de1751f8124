/** Peers and gateways on links of this machine are never reached by way of somebody else. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { prefix } from "../../src/ip/prefix.ts";
import { GATEWAY_KEPT_MS, SYNC_PERIOD_MS } from "../../src/routes/limits.ts";
import { address, line, route, STATIC } from "./fake-kernel.ts";
import { Harness } from "./harness.ts";

const P1 = "10.233.65.0/24";
const A = "192.168.50.51";
const B = "192.168.50.52";
const viaA = route(P1, { via: A });

function lines(...routes: Parameters<typeof line>[0][]): string[] {
  return routes.map(line).sort();
}

test("a peer on our link stays reached by it, for as long as it is named", async () => {
  const h = new Harness();
  const tor = "192.168.50.1/32";
  h.want(tor, B);
  h.want("10.7.0.1/32", B);
  h.want(P1, A);
  await h.started();
  const without = { protectedAddresses: [A, B].map(address), ownPodCidrs: [] };
  const stolen = lines(viaA, route(tor, { via: B }), route("10.7.0.1/32", { via: B })).sort();
  assert.deepEqual(h.kernel.ours(), stolen);
  h.tried();
  // The second one has a loopback address elsewhere, which BGP leads to.
  const peers = ["192.168.50.1", "10.7.0.1"].map(address);
  h.controller.setGuards({ ...without, peers });
  await h.rest();
  assert.deepEqual(h.tried(), [`delete ${tor}`], "at once");
  assert.match(
    h.messages(),
    /^192\.168\.50\.1\/32 via 192\.168\.50\.52 is refused: it covers the peer 192\.168\.50\.1, which/,
  );
  assert.deepEqual(h.codes(), ["route-refused"]);
  h.kernel.setLink(2, false);
  await h.rest();
  h.kernel.setLink(2, true);
  await h.rest(1000);
  assert.doesNotMatch(h.kernel.ours().join(), /192\.168\.50\.1\/32/);
  h.controller.setGuards(without);
  await h.rest();
  assert.deepEqual(h.kernel.ours(), stolen);
  assert.deepEqual(h.codes(), []);
});

test("a peer whose link is down may be reached another way", async () => {
  const h = new Harness({
    guards: { protectedAddresses: [], ownPodCidrs: [], peers: [address("10.99.0.1")] },
  });
  h.kernel.links.push({ index: 3, name: "enp2s0", up: true });
  const own = { link: 3, address: address("10.99.0.2"), subnet: prefix("10.99.0.0/24") };
  h.kernel.addresses.push(own);
  h.want("10.99.0.1/32", A);
  await h.started();
  assert.match(h.messages(), /covers the peer 10\.99\.0\.1/);
  h.kernel.setLink(3, false);
  await h.rest(1000);
  const around = lines(route("10.99.0.1/32", { via: A }));
  assert.deepEqual(h.kernel.ours(), around);
  h.kernel.setLink(3, true);
  await h.rest(1000);
  assert.deepEqual(h.kernel.ours(), []);
  h.kernel.deleteAddress("10.99.0.2");
  await h.rest(1000);
  assert.deepEqual(h.kernel.ours(), around);
});

test("a gateway of somebody else's route stays reached by its link", async () => {
  const h = new Harness();
  const uplink = route("0.0.0.0/0", { via: "192.168.50.1", protocol: STATIC });
  h.kernel.routes.push(uplink);
  h.want("192.168.50.1/32", B);
  h.want("192.168.50.2/32", B);
  h.want(P1, A);
  await h.started();
  const second = route("192.168.50.2/32", { via: B });
  assert.deepEqual(h.kernel.ours(), lines(viaA, second).sort());
  assert.match(h.messages(), /covers the gateway 192\.168\.50\.1, which is on a link/);
  h.tried();
  h.kernel.add(route("10.1.0.0/16", { via: "192.168.50.2", protocol: STATIC }));
  await h.rest();
  assert.deepEqual(h.tried(), ["delete 192.168.50.2/32"], "on the event, and nothing else");
  h.kernel.delete((entry) => entry.protocol === STATIC);
  await h.rest(SYNC_PERIOD_MS + 100);
  assert.deepEqual(h.kernel.ours(), lines(viaA), "one that is made anew finds them as they were");
  await h.rest(GATEWAY_KEPT_MS);
  assert.equal(h.kernel.ours().length, 3, "at the comparison after that");
  assert.deepEqual(h.codes(), []);
});

test("an adopted route over a peer goes before all is known", async () => {
  const h = new Harness({
    guards: { protectedAddresses: [], ownPodCidrs: [], peers: [address("192.168.50.1")] },
  });
  h.kernel.routes.push(route("192.168.50.1/32", { via: B }), viaA);
  h.want("192.168.50.1/32", B);
  assert.equal(await h.started(), 2);
  assert.deepEqual(h.kernel.ours(), lines(viaA));
});

test("a dry run says what it would refuse for a new gateway", async () => {
  const h = new Harness({ dryRun: true });
  h.want("192.168.50.2/32", B);
  await h.started();
  await h.rest(1000);
  assert.equal(h.controller.status().planned.length, 1);
  h.kernel.add(route("10.1.0.0/16", { via: "192.168.50.2", protocol: STATIC }));
  await h.rest(1000);
  assert.deepEqual(h.controller.status().planned, []);
  assert.match(h.messages(), /covers the gateway 192\.168\.50\.2/);
});

test("where pods of this node still are no route leads, whoever has the pod CIDR now", async () => {
  const guards = { protectedAddresses: [A, B].map(address), ownPodCidrs: [], podLink: "br0" };
  const h = new Harness({ guards });
  const half = "10.233.64.128/25";
  h.kernel.links.push({ index: 3, name: "br0", up: true });
  h.kernel.addresses.push(
    { link: 3, address: address("10.233.64.1"), subnet: prefix("10.233.64.0/24") },
    { link: 3, address: address("10.233.70.1"), subnet: prefix("10.233.70.1/32") },
  );
  h.want(half, B);
  // Ours is more specific.
  h.want("10.233.64.0/22", B);
  h.want("10.233.70.0/24", B);
  await h.started();
  assert.deepEqual(h.kernel.ours(), lines(route("10.233.64.0/22", { via: B })));
  assert.match(
    h.messages(),
    /10\.233\.64\.128\/25 via .* lies in 10\.233\.64\.0\/24, which the interface of/,
  );
  assert.match(h.messages(), /covers the node address 10\.233\.70\.1/);
  // The last pod has gone.
  h.kernel.deleteAddress("10.233.64.1");
  await h.rest(1000);
  assert.deepEqual(
    h.kernel.ours(),
    lines(route("10.233.64.0/22", { via: B }), route(half, { via: B })),
  );
});
