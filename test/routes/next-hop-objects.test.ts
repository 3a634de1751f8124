/** Routes of others by next hop objects, which go with their object and without a word. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { NEXT_HOP_OBJECTS_MAX as MAX } from "../../src/routes/limits.ts";
import { NextHopObjects } from "../../src/routes/next-hop-objects.ts";
import { address, line, route, STATIC } from "./fake-kernel.ts";
import { Harness } from "./harness.ts";

const P1 = "10.233.65.0/24";
const P2 = "10.233.66.0/24";
const P6 = "fd00:65::/64";
const A = "192.168.50.51";
const A6 = "2001:db8::51";
const B = "192.168.50.99";
const VIA_A = [line(route(P1, { via: A }))];

const byObject = (to: string, nextHopId: number, via: string | readonly string[] = B) =>
  route(to, { via, nextHopId, protocol: STATIC, plain: false });

/** Ours are wanted, and somebody else's stand in their place; all is at rest. */
async function inTheWay(...others: ReturnType<typeof byObject>[]) {
  const h = new Harness();
  h.want(P1, A);
  h.kernel.routes.push(...others);
  await h.started();
  await h.rest(5000);
  assert.deepEqual(h.kernel.ours(), []);
  return h;
}

test("ours comes when the object of a route in its place goes, and not at the next period", async () => {
  const h = await inTheWay(byObject(P1, 5));
  assert.deepEqual(h.codes(), ["foreign-route"]);
  h.kernel.deleteNextHop(5);
  await h.rest(500);
  assert.deepEqual(h.kernel.ours(), VIA_A);
  assert.deepEqual(h.codes(), []);
});

test("an object that goes while the kernel is listed, after its route was shown", async () => {
  const h = await inTheWay(byObject(P1, 5));
  h.kernel.dumpMs = 10;
  // The whole table is shown before it goes.
  h.kernel.routes.push(byObject("10.9.0.0/16", 9));
  h.kernel.duringDump = () => {
    h.kernel.duringDump = () => undefined;
    h.kernel.deleteNextHop(5);
  };
  h.kernel.overrun();
  await h.rest(1000);
  assert.deepEqual(h.kernel.ours(), VIA_A);
});

test("objects by the thousand that no route of the view goes by cost no look at the kernel", async () => {
  const h = await inTheWay(byObject(P1, 5), byObject("10.9.0.0/16", 9));
  const { dumps } = h.kernel;
  for (let id = 6; id < 10_000; id++) h.kernel.deleteNextHop(id);
  await h.rest(5000);
  assert.equal(h.kernel.dumps, dumps);
});

test("an object counts as long as one route of the view goes by it, and no longer", async () => {
  const h = await inTheWay(byObject(P1, 5));
  h.want(P2, A);
  h.kernel.add(byObject(P2, 5));
  h.kernel.replace(route(P1, { via: B, protocol: STATIC }));
  await h.rest(5000);
  const { dumps } = h.kernel;
  h.kernel.delete(({ prefix }) => prefix === P2);
  await h.rest(5000);
  h.kernel.deleteNextHop(5);
  await h.rest(5000);
  assert.equal(h.kernel.dumps, dumps, "none any more");
  h.kernel.replace(byObject(P1, 5));
  await h.rest(5000);
  h.kernel.deleteNextHop(5);
  await h.rest(500);
  assert.deepEqual(h.kernel.ours(), [...VIA_A, line(route(P2, { via: A }))]);
});

test("of IPv6 the kernel tells of each route, or does not", async () => {
  for (const told of [true, false]) {
    const h = new Harness();
    h.want(P6, A6);
    h.kernel.routes.push(byObject(P6, 5, A6));
    await h.started();
    await h.rest(5000);
    assert.deepEqual(h.kernel.ours(), []);
    if (!told) h.kernel.routes = [];
    h.kernel.deleteNextHop(5);
    await h.rest(500);
    assert.deepEqual(h.kernel.ours(), [line(route(P6, { via: A6 }))]);
  }
});

test("a carrier that is lost takes objects along, and their routes", async () => {
  const h = new Harness();
  h.want(P1, A);
  h.kernel.links = h.kernel.links.map((link) => ({ ...link, running: true }));
  h.kernel.routes.push(byObject(P1, 5));
  await h.started();
  await h.rest(5000);
  h.kernel.setCarrier(2, false);
  await h.rest(500);
  assert.deepEqual(h.kernel.ours(), VIA_A);
  const { dumps } = h.kernel;
  h.kernel.setCarrier(2, true);
  h.kernel.setCarrier(2, false);
  await h.rest(5000);
  assert.equal(h.kernel.dumps, dumps, "none is left");
});

test("an interface without address goes down, and nobody knows where objects lead", async () => {
  // As with net.ipv4.nexthop_compat_mode off.
  const h = new Harness();
  h.want(P1, A);
  h.kernel.links.push({ index: 9, name: "tun9", up: true });
  h.kernel.routes.push(byObject(P1, 5, []));
  await h.started();
  await h.rest(5000);
  h.kernel.routes = [];
  h.kernel.setLink(9, false);
  await h.rest(500);
  assert.deepEqual(h.kernel.ours(), VIA_A);
  assert.equal(h.topology?.leadsTo(address(A)), true);
});

/** A route of the main table by an object, as with net.ipv4.nexthop_compat_mode off. */
const hidden = (to: string, nextHopId: number) => byObject(to, nextHopId, []);
const TO_GATEWAY = `${B}/32`;

/** Ours to the gateway's address is wanted, and refused or not. */
async function wantedToGateway(h: Harness): Promise<boolean> {
  await h.rest(500);
  const there = h.kernel.ours().length > 0;
  assert.deepEqual(h.codes(), there ? [] : ["route-refused"]);
  return there;
}

test("a gateway that only an object tells is protected, of a group too", async () => {
  for (const id of [5, 6]) {
    const h = new Harness();
    h.want(TO_GATEWAY, A);
    h.kernel.putNextHop(5, B);
    h.kernel.putNextHop(6, undefined, [7, 5]);
    h.kernel.routes.push(hidden("10.9.0.0/16", id));
    await h.started();
    assert.equal(await wantedToGateway(h), false);
  }
});

test("an object is no gateway until a route goes by it, and a route by its event then", async () => {
  for (const id of [5, 6, 8]) {
    const h = new Harness();
    h.want(TO_GATEWAY, A);
    h.kernel.putNextHop(5, B);
    h.kernel.putNextHop(6, undefined, [5]);
    h.kernel.putNextHop(7, undefined);
    h.kernel.routes.push(hidden("10.8.0.0/16", 7), hidden("10.8.0.0/16", 8));
    await h.started();
    assert.equal(await wantedToGateway(h), true);
    if (id === 8) h.kernel.putNextHop(8, undefined, [5]);
    else h.kernel.add(hidden("10.9.0.0/16", id));
    assert.equal(await wantedToGateway(h), false);
  }
});

test("a member of a group that is another now, and one that is gone and made anew", async () => {
  const h = new Harness();
  h.want(TO_GATEWAY, A);
  h.kernel.putNextHop(5, "192.168.50.98");
  h.kernel.putNextHop(6, undefined, [5]);
  h.kernel.routes.push(hidden("10.9.0.0/16", 6));
  await h.started();
  assert.equal(await wantedToGateway(h), true);
  h.kernel.deleteNextHop(6);
  h.kernel.deleteNextHop(5);
  h.kernel.putNextHop(5, B);
  assert.equal(await wantedToGateway(h), true, "no route goes by it");
  h.kernel.putNextHop(5, "192.168.50.98");
  h.kernel.putNextHop(6, undefined, [5]);
  h.kernel.add(hidden("10.9.0.0/16", 6));
  assert.equal(await wantedToGateway(h), true);
  h.kernel.putNextHop(5, B);
  assert.equal(await wantedToGateway(h), false);
});

test("an object that changes while the kernel is listed", async () => {
  const h = new Harness();
  h.want(TO_GATEWAY, A);
  h.kernel.putNextHop(5, "192.168.50.98");
  h.kernel.routes.push(hidden("10.9.0.0/16", 5));
  await h.started();
  assert.equal(await wantedToGateway(h), true);
  h.kernel.dumpMs = 10;
  h.kernel.duringDump = () => {
    h.kernel.duringDump = () => undefined;
    h.kernel.putNextHop(5, B);
  };
  h.kernel.overrun();
  assert.equal(await wantedToGateway(h), false);
});

test("a gateway that the route tells itself is protected, whatever is known of its object", async () => {
  const h = new Harness();
  h.want(TO_GATEWAY, A);
  h.kernel.routes.push(byObject("10.9.0.0/16", 5));
  await h.started();
  assert.equal(await wantedToGateway(h), false);
});

const object = (id: number, via = B) => ({ id, gateway: address(via), members: [] });

test("so many objects are known and no more; those that are may change, and make room", () => {
  const objects = new NextHopObjects(Array.from({ length: MAX + 1 }, (_, i) => object(i + 1)));
  assert.deepEqual(objects.use(MAX), [B]);
  assert.deepEqual(objects.use(MAX + 1), []);
  assert.deepEqual(objects.put(object(MAX + 1)), []);
  assert.deepEqual(objects.put(object(MAX, A)), [A]);
  objects.delete(1);
  assert.deepEqual(objects.put(object(MAX + 1)), [B]);
});

test("of so many objects it is noted that routes go by them, known or not, and of no more", () => {
  const objects = new NextHopObjects([object(1), object(2), object(3)]);
  for (let i = 1; i < MAX; i++) assert.deepEqual(objects.use(10 + i), []);
  assert.deepEqual(objects.use(1), [B]);
  assert.deepEqual(objects.use(2), []);
  assert.deepEqual(objects.put(object(2, A)), []);
  objects.delete(1);
  assert.deepEqual(objects.use(3), [B]);
});
