/** Next hops of the family that the session is not of, and what is said where there is none. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { ACCEPT_ALL, peerConfig, speakerConfig } from "../../../src/bgp/defaults.ts";
import { nextHopsOf } from "../../../src/bgp/speaker/next-hops.ts";
import { peerChange } from "../../../src/bgp/speaker/peer-change.ts";
import { Speaker } from "../../../src/bgp/speaker.ts";
import type { PeerConfig } from "../../../src/bgp/types.ts";
import type { IpAddress } from "../../../src/ip/address.ts";
import { prefix } from "../../../src/ip/prefix.ts";
import { ip, World } from "../../support/speakers.ts";

const all = (...texts: string[]) => texts.map(ip);

test("the session's address, then what is configured of its link, the link, the rest", () => {
  const own = ip("192.0.2.1");
  const link = all("192.0.2.1", "2001:db8:2::7", "2001:db8:2::1");
  const asked: IpAddress[] = [];
  const network = {
    addressesBeside: (one: IpAddress) => {
      asked.push(one);
      return link;
    },
  };
  const of = (nextHops: string[], nextHopsByLink: boolean, families: (4 | 6)[] = [4, 6]) =>
    nextHopsOf({ nextHops: all(...nextHops), nextHopsByLink }, own, families, network);
  assert.deepEqual(of(["fd00::1"], false), ["192.0.2.1", "fd00::1"], "as configured");
  assert.deepEqual(of(["fd00::1"], true, [4]), ["192.0.2.1", "fd00::1"], "nothing to ask for");
  assert.deepEqual(asked, []);
  const sixth = (list: readonly IpAddress[]) => list.find((one) => one.includes(":"));
  assert.equal(sixth(of(["fd00::1"], true)), "2001:db8:2::7", "the link goes first");
  assert.equal(sixth(of(["2001:db8:2::1"], true)), "2001:db8:2::1", "configured and on the link");
  assert.deepEqual(asked, [own, own]);
  const config = { nextHops: all("fd00::1"), nextHopsByLink: true };
  assert.deepEqual(nextHopsOf(config, own, [4, 6], {}), ["192.0.2.1", "fd00::1"]);
  assert.deepEqual(nextHopsOf(config, undefined, [4, 6], network), ["fd00::1"]);
});

/** A speaker with these addresses that announces an IPv6 network to an external one over IPv4. */
function pair(addresses: readonly string[], changes: Partial<PeerConfig> = {}) {
  const world = new World();
  const { clock, random, log, network } = world;
  const both = { families: [4, 6] as const, importPolicy: ACCEPT_ALL, exportPolicy: ACCEPT_ALL };
  const [a, b] = all("192.0.2.1", "192.0.2.2") as [IpAddress, IpAddress];
  const speaker = (own: IpAddress, as: number, hosts: readonly IpAddress[]) => {
    const transport = Object.assign(network.host(...hosts), { addressesBeside: () => hosts });
    const services = { clock, random, log, transport };
    const listen = [{ address: own, port: 179 }];
    return new Speaker(services, speakerConfig({ as, routerId: own, listen }));
  };
  const us = speaker(a, 64512, all(...addresses));
  const them = speaker(b, 65001, [b]);
  const link = { localAddress: a, nextHopsByLink: true };
  const theirs = peerConfig({ name: "them", address: b, remoteAs: 65001, ...both, ...link });
  us.setPeers([{ ...theirs, ...changes }]);
  them.setPeers([
    peerConfig({ address: a, remoteAs: 64512, localAddress: b, addPath: "receive", ...both }),
  ]);
  const more = { nextHop: undefined, communities: [], med: undefined };
  us.originate(
    ["10.99.0.0/24", "2001:db8:99::/64"].map((own) => ({ prefix: prefix(own), ...more })),
  );
  us.start();
  them.start();
  world.until(() => them.converged(), "their tables");
  world.advance(1000);
  return {
    us,
    world,
    told: [...them.bestRoutes()].map((best) => `${best.prefix} ${best.nextHops[0]}`),
  };
}

test("IPv6 routes over IPv4 go with an IPv6 address of the session's interface", () => {
  const { us, told } = pair(["192.0.2.1", "2001:db8:2::1"]);
  assert.deepEqual(told, ["10.99.0.0/24 192.0.2.1", "2001:db8:99::/64 2001:db8:2::1"]);
  assert.deepEqual(us.troubles().withoutNextHop, []);
});

test("without one, with that of the configuration", () => {
  const { told } = pair(["192.0.2.1"], { nextHops: all("2001:db8:7::1") });
  assert.deepEqual(told, ["10.99.0.0/24 192.0.2.1", "2001:db8:99::/64 2001:db8:7::1"]);
});

test("without any, the routes stay here, which is said, while there is something to tell", () => {
  const { us, told } = pair(["192.0.2.1"]);
  assert.deepEqual(told, ["10.99.0.0/24 192.0.2.1"]);
  const lacking = { name: "them", address: ip("192.0.2.2"), family: 6 };
  assert.deepEqual(us.troubles().withoutNextHop, [lacking]);
  us.setPeers([]);
  assert.deepEqual(us.troubles().withoutNextHop, []);
  const quiet = pair(["192.0.2.1"], { exportPolicy: undefined });
  assert.deepEqual(quiet.us.troubles().withoutNextHop, [], "nothing is kept from it");
});

test("another next hop resets a session only where that may go with it", () => {
  const at = (address: string, families: (4 | 6)[], ...nextHops: string[]) =>
    peerConfig({ address: ip(address), remoteAs: 1, families, nextHops: all(...nextHops) });
  const change = (address: string, families: (4 | 6)[], before: string[], after: string[]) =>
    peerChange(at(address, families, ...before), at(address, families, ...after));
  const [v4, v6] = ["192.0.2.2", "2001:db8::2"];
  assert.equal(change(v4, [4], ["192.0.2.1"], ["192.0.2.1", "2001:db8::1"]), "none");
  assert.equal(change(v4, [4, 6], ["192.0.2.1"], ["192.0.2.1", "2001:db8::1"]), "reset");
  assert.equal(change(v4, [4, 6], ["192.0.2.1", "fd00::1"], ["192.0.2.9", "fd00::1"]), "none");
  assert.equal(change(v6, [4, 6], ["192.0.2.1", "fd00::1"], ["192.0.2.9", "fd00::1"]), "reset");
  assert.equal(change(v6, [6], ["192.0.2.1"], []), "none");
});

test("what is said of routes without a next hop ends with the last of them", () => {
  for (const addPath of ["none", "send"] as const) {
    const { us, world } = pair(["192.0.2.1"], { addPath });
    const own = (...texts: string[]) => {
      const more = { nextHop: undefined, communities: [], med: undefined };
      us.originate(texts.map((text) => ({ prefix: prefix(text), ...more })));
      world.advance(1000);
      return us.troubles().withoutNextHop.length;
    };
    const [first, second] = ["2001:db8:99::/64", "2001:db8:98::/64"] as const;
    assert.deepEqual(
      [own(first, second), own(second), own("10.99.0.0/24"), own(first), own()],
      [1, 1, 0, 1, 0],
      addPath,
    );
  }
});
