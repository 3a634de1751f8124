/** The routes that travel in the scenarios. */
import { ADDRESSES, type Side } from "../support/peers/lab.ts";
import { routeTarget, type TestRoute } from "../support/peers/peer.ts";
import type { Settable } from "./daemons.ts";
import { injectedPath } from "./expectation.ts";

/** Two octets of address space for each side, so that nobody's routes are mistaken. */
const SPACE = { left: { 4: "10.11", 6: "fd11" }, right: { 4: "10.22", 6: "fd22" } } as const;

/** A next hop on the link that is nobody's: a speaker refuses one that is its own. */
const THIRD_PARTY = "10.0.0.9";

/** A route with nothing special about it. */
export function plainRoute(side: Side, number: number): TestRoute {
  return { prefix: `${SPACE[side][4]}.${number}.0/24`, nextHop: ADDRESSES[side][4] };
}

export function plainRoute6(side: Side, number: number): TestRoute {
  return { prefix: `${SPACE[side][6]}:${number}::/48`, nextHop: ADDRESSES[side][6] };
}

const TARGETS = [routeTarget(65001, 9), routeTarget(4200000001, 5)];

/** A route with every attribute that this speaker can set on a route of its own. */
export function richRoute(side: Side, number: number, settable: readonly Settable[]): TestRoute {
  const can = (name: Settable) => settable.includes(name);
  return {
    ...plainRoute(side, number),
    med: 77,
    localPref: 222,
    communities: ["65001:7", "65534:65535", "64512:0"],
    largeCommunities: ["4200000001:2:3", "0:0:4294967295"],
    ...(can("origin") ? { origin: "egp" } : {}),
    ...(can("extendedCommunities") ? { extendedCommunities: TARGETS } : {}),
    ...(can("asPath") ? { asPath: "65010 4200000001 65010" } : {}),
    ...(can("aggregator") ? { aggregator: "65033 192.0.2.7" } : {}),
    ...(can("atomicAggregate") ? { atomicAggregate: true } : {}),
    ...(can("opaque") ? { opaque: [unknownAttribute(200, 12)] } : {}),
  };
}

/** A route of the injector that feeds `side`, with all there is, unknown attributes included. */
export function injectedRoute(side: Side, number: number): TestRoute {
  return {
    prefix: `${SPACE[side][4]}.${100 + number}.0/24`,
    nextHop: THIRD_PARTY,
    origin: "incomplete",
    asPath: injectedPath("65010 4200000001 65010"),
    med: 31,
    communities: ["65001:7", "64999:1"],
    largeCommunities: ["4200000001:2:3"],
    extendedCommunities: [routeTarget(65001, 9), routeTarget(65001, 10, 3)],
    aggregator: "4200000033 192.0.2.7",
    atomicAggregate: true,
  };
}

/** The same with attributes that nobody knows (no IANA assignment): a short one, a long one, one not transitive. */
export function opaqueRoute(side: Side, number: number): TestRoute {
  return {
    ...injectedRoute(side, number),
    opaque: [
      unknownAttribute(200, 12),
      unknownAttribute(201, 1500),
      { ...unknownAttribute(202, 4), flags: 0x80 },
    ],
  };
}

export function unknownAttribute(type: number, bytes: number) {
  const hex = Buffer.from(Array.from({ length: bytes }, (_, i) => (i * 7 + type) & 255));
  return { type, flags: 0xc0, hex: hex.toString("hex") };
}
