/** Next hops through tunnels that somebody else keeps: when they are taken, and when not. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { evaluate } from "../../src/routes/evaluate.ts";
import { Guards } from "../../src/routes/guards.ts";
import type { TunnelWay } from "../../src/routes/ports.ts";
import { Topology } from "../../src/routes/topology.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { address, FakeKernel, route } from "./fake-kernel.ts";
import { FakeTunnels, Harness, OWN } from "./harness.ts";

const P1 = "10.233.65.0/24";
const NEAR = "192.168.50.51";
const FAR = "192.168.51.50";
const NOT_YET: TunnelWay = { ready: false, why: "which is not made yet" };

function lab() {
  const tunnels = new FakeTunnels();
  return { tunnels, h: new Harness({}, tunnels) };
}

const ways = (h: Harness) =>
  h.kernel.routes.map(({ hops, source }) => [
    ...hops.map((hop) => `${hop.gateway} ${hop.link}${hop.onLink ? " onlink" : ""}`),
    source,
  ]);

test("a tunnel is taken where no interface leads, with the node's address as source", async () => {
  const { h, tunnels } = lab();
  tunnels.lead(FAR);
  tunnels.lead(NEAR);
  await h.started();
  h.change(P1, FAR);
  h.change("10.233.66.0/24", NEAR);
  await h.rest();
  assert.deepEqual(ways(h), [
    [`${FAR} 9 onlink`, OWN],
    [`${NEAR} 2`, undefined],
  ]);
  assert.deepEqual(h.codes(), []);
});

test("first: a tunnel goes before an interface that leads there", async () => {
  const { h, tunnels } = lab();
  tunnels.first = true;
  tunnels.lead(NEAR);
  await h.started();
  h.change(P1, NEAR);
  h.change("10.233.66.0/24", "192.168.50.52");
  await h.rest();
  assert.deepEqual(ways(h), [
    [`${NEAR} 9 onlink`, OWN],
    ["192.168.50.52 2", undefined],
  ]);
});

test("what is wrong otherwise is not cured by a tunnel", () => {
  const tunnels = new FakeTunnels();
  const kernel = new FakeKernel(new FakeClock());
  const links = kernel.links.map((link) => ({ ...link, up: false }));
  const guards = new Guards({ protectedAddresses: [], ownPodCidrs: [] }, []);
  for (const [nextHop, reason] of [
    [NEAR, /interface enp1s0 is down/],
    ["192.168.50.50", /it is an address of this machine/],
    ["2001:db8::51", /other address family/],
  ] as const) {
    tunnels.lead(nextHop);
    const desired = { prefix: route(P1).prefix, nextHops: [address(nextHop)], stale: false };
    const topology = new Topology(links, kernel.addresses);
    const { wanted, condition } = evaluate(desired, guards, topology, tunnels);
    assert.equal(wanted.kind, "held");
    assert.match(condition?.message ?? "", reason);
  }
});

test("until a tunnel is ready an adopted route stays, whatever it leads through", async () => {
  const { h, tunnels } = lab();
  tunnels.ways.set(address(FAR), NOT_YET);
  h.kernel.routes = [route(P1, { link: 7, via: "192.0.2.9", source: OWN })];
  await h.started();
  h.change(P1, FAR);
  await h.rest();
  assert.deepEqual(h.tried(), []);
  assert.match(h.messages(), /not reachable: it is reached by a tunnel, which is not made yet/);
  tunnels.lead(FAR);
  h.controller.tunnelsChanged(new Set([address(FAR)]));
  await h.rest();
  assert.deepEqual(h.tried(), [`replace ${P1}`]);
  assert.deepEqual(h.codes(), []);
  // Right as it is: nothing is done a second time.
  h.controller.tunnelsChanged("all");
  await h.rest(1000);
  assert.deepEqual(h.tried(), []);
});

test("a device made anew: the kernel dropped the routes, and they come back", async () => {
  const { h, tunnels } = lab();
  tunnels.lead(FAR);
  await h.started();
  h.change(P1, FAR);
  await h.rest();
  h.tried();
  h.kernel.routes = [];
  tunnels.lead(FAR, 10);
  h.controller.tunnelsChanged("all");
  await h.rest(1000);
  assert.deepEqual(ways(h), [[`${FAR} 10 onlink`, OWN]]);
});

test("a tunnel and a plain way share a route", async () => {
  const { h, tunnels } = lab();
  tunnels.lead(FAR);
  await h.started();
  h.change(P1, FAR, NEAR);
  await h.rest();
  assert.deepEqual(ways(h), [[`${NEAR} 2`, `${FAR} 9 onlink`, OWN]]);
});

test("settled: only after convergence, and with nothing left to do", async () => {
  const { h } = lab();
  await h.started();
  assert.equal(h.controller.settled(), false);
  h.controller.converged();
  await h.rest(1000);
  assert.equal(h.controller.settled(), true);
  h.change(P1, NEAR);
  assert.equal(h.controller.settled(), false);
  await h.rest();
  assert.equal(h.controller.settled(), true);
  h.kernel.answerMs = 50;
  h.kernel.dumpMs = 50;
  for (const [what, unsettle, ms] of [
    ["the kernel is at work", () => h.change(P1), 20],
    ["all is to be compared", () => h.controller.wantedChanged(), undefined],
    ["events were lost, the kernel is listed", () => h.kernel.overrun(), 20],
    ["the kernel cannot be talked to", () => h.kernel.fail(), 20],
  ] as const) {
    unsettle();
    if (ms !== undefined) await h.rest(ms);
    assert.equal(h.controller.settled(), false, what);
    await h.rest(5000);
    assert.equal(h.controller.settled(), true, what);
  }
});
