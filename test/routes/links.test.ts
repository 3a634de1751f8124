/** Links that go and come back, and what is said of it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { prefix } from "../../src/ip/prefix.ts";
import { address, line, route, STATIC } from "./fake-kernel.ts";
import { FakeTunnels, Harness } from "./harness.ts";

const P1 = "10.233.65.0/24";
const A = "192.168.50.51";
const VIA_A = [line(route(P1, { via: A }))];

test("a link that goes down and up has its routes again", async () => {
  const h = new Harness();
  h.want(P1, A);
  await h.started();
  await h.rest(5000);
  h.kernel.setLink(2, false);
  await h.rest(500);
  assert.deepEqual(h.kernel.ours(), []);
  assert.match(h.messages(), /interface enp1s0 is down/);
  assert.equal(h.topologies, 1, "it is told once the kernel was looked at");
  h.kernel.setLink(2, true);
  await h.rest(500);
  assert.deepEqual(h.kernel.ours(), VIA_A);
  assert.deepEqual(h.codes(), []);
  assert.equal(h.topologies, 2);
  await h.rest(120_000);
  assert.equal(h.topologies, 2, "to look again is no news");
});

test("a carrier that is lost or back leaves all as it is, and is told", async () => {
  const h = new Harness();
  h.want(P1, A);
  await h.started();
  await h.rest(5000);
  const { dumps } = h.kernel;
  for (let outages = 1; outages < 3; outages++) {
    h.kernel.setCarrier(2, false);
    await h.rest(500);
    assert.equal(h.topologies, 2 * outages - 1);
    assert.equal(h.topology?.leadsTo(address(A)), false);
    h.kernel.setCarrier(2, true);
    await h.rest(500);
    assert.equal(h.topologies, 2 * outages);
    assert.equal(h.topology?.leadsTo(address(A)), true);
  }
  assert.deepEqual(h.kernel.ours(), VIA_A);
  assert.equal(h.kernel.dumps, dumps);
});

test("a link that was down for a moment only, too", async () => {
  const h = new Harness();
  h.want(P1, A);
  await h.started();
  await h.rest(5000);
  h.kernel.setLink(2, false);
  h.kernel.setLink(2, true);
  await h.rest(500);
  assert.deepEqual(h.kernel.ours(), VIA_A);
});

test("a link that goes down and up while the kernel is listed", async () => {
  const h = new Harness();
  h.want(P1, A);
  await h.started();
  await h.rest(5000);
  h.kernel.dumpMs = 10;
  h.kernel.duringDump = () => {
    h.kernel.duringDump = () => undefined;
    h.kernel.setLink(2, true);
  };
  h.kernel.setLink(2, false);
  await h.rest(1000);
  assert.deepEqual(h.kernel.ours(), VIA_A);
});

test("a link without an address takes routes along when it goes down, for a moment too", async () => {
  const tunnels = new FakeTunnels();
  tunnels.lead("10.9.0.9");
  const h = new Harness({}, tunnels);
  const up = { name: "bare", up: true };
  h.kernel.links = [...h.kernel.links, { ...up, index: 9 }, { ...up, index: 10 }];
  const theirs = route("10.233.66.0/24", { link: 10, protocol: STATIC });
  h.kernel.routes.push({ ...theirs, hops: [{ gateway: undefined, link: 10, weight: 1 }] });
  h.want(P1, "10.9.0.9");
  h.want("10.233.66.0/24", A);
  await h.started();
  await h.rest(5000);
  const through = h.kernel.ours();
  assert.equal(through.length, 1);
  h.kernel.setLink(9, false);
  h.kernel.setLink(9, true);
  await h.rest(500);
  assert.deepEqual(h.kernel.ours(), through);
  h.kernel.setLink(10, false);
  await h.rest(500);
  assert.deepEqual(h.kernel.ours(), [...through, line(route("10.233.66.0/24", { via: A }))]);
  assert.equal(h.topologies, 0, "nobody is reached otherwise");
});

test("a link that no route leads over comes and goes, and nothing is looked at", async () => {
  const h = new Harness();
  h.kernel.links = [...h.kernel.links, { index: 9, name: "pod9", up: true }];
  h.want(P1, A);
  await h.started();
  await h.rest(5000);
  const { dumps } = h.kernel;
  h.kernel.setLink(9, false);
  h.kernel.setLink(9, true);
  await h.rest(500);
  assert.equal(h.kernel.dumps, dumps);
});

test("addresses that lead nowhere come and go without being news", async () => {
  const h = new Harness();
  h.kernel.links = [...h.kernel.links, { index: 9, name: "kube-ipvs0", up: false }];
  await h.started();
  await h.rest(5000);
  const service = { link: 9, address: address("10.96.0.1"), subnet: prefix("10.96.0.1/32") };
  h.kernel.addAddress(service);
  await h.rest(500);
  h.kernel.deleteAddress("10.96.0.1");
  await h.rest(500);
  assert.equal(h.topologies, 0);
  h.kernel.addAddress({ ...service, link: 2 });
  await h.rest(500);
  assert.equal(h.topologies, 1, "it may be the source of a session");
});

test("a link that is made, addressed and set up in one go is news", async () => {
  const h = new Harness();
  await h.started();
  h.kernel.links = [...h.kernel.links, { index: 9, name: "eth9", up: false }];
  h.kernel.setLink(9, false);
  h.kernel.addAddress({ link: 9, address: address("10.9.0.1"), subnet: prefix("10.9.0.0/24") });
  h.kernel.setLink(9, true);
  await h.rest(1000);
  assert.ok(h.topologies > 0);
  assert.equal(h.topology?.leadsTo(address("10.9.0.2")), true);
});

test("an address that turns out to be nobody else's is news, and needs no listing", async () => {
  const h = new Harness();
  await h.started();
  await h.rest(5000);
  const own = { link: 2, address: address("2001:db8::1"), subnet: prefix("2001:db8::/64") };
  h.kernel.addAddress({ ...own, tentative: true });
  await h.rest(500);
  const { dumps } = h.kernel;
  assert.equal(h.topologies, 1);
  h.kernel.addresses = h.kernel.addresses.filter((one) => one.address !== own.address);
  h.kernel.addAddress(own);
  await h.rest(500);
  assert.equal(h.topologies, 2);
  assert.equal(h.kernel.dumps, dumps);
  h.kernel.addAddress(own);
  await h.rest(500);
  assert.equal(h.topologies, 2, "a renewed lease");
});
