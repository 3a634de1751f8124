/** One of every message that we can send, for programs that decode captures. */
import { localCapabilities } from "../../../src/bgp/message/capabilities.ts";
import { encodeKeepalive } from "../../../src/bgp/message/keepalive.ts";
import { openMessage } from "../../../src/bgp/message/negotiate.ts";
import {
  encodeNotification,
  encodeShutdownCommunication,
  hardReset,
} from "../../../src/bgp/message/notification.ts";
import { encodeOpen } from "../../../src/bgp/message/open.ts";
import { encodeRouteRefresh } from "../../../src/bgp/message/route-refresh.ts";
import type { PathAttributes } from "../../../src/bgp/message/types.ts";
import { UpdateWriter } from "../../../src/bgp/message/update-writer.ts";
import { PrefixBatch } from "../../../src/ip/prefix-batch.ts";
import { PLAIN_ATTRIBUTES } from "../../support/plain-attributes.ts";
import { address, batch4, session } from "./build.ts";

/** An OPEN with every capability that we have. */
export function fullOpen(): Uint8Array {
  const capabilities = localCapabilities({
    as: 4_200_000_000,
    hostName: "node1",
    domainName: "example.org",
    families: [4, 6],
    gracefulRestart: {
      restarted: true,
      notification: true,
      restartSeconds: 120,
      forwardingPreserved: [4],
      longLivedSeconds: 86_400,
    },
    extendedMessage: true,
    enhancedRouteRefresh: true,
    addPath: "both",
    softwareVersion: "podrouter/0.1.0",
  });
  const local = { as: 4_200_000_000, routerId: 0xc0a83232, holdSeconds: 9, capabilities };
  return encodeOpen(openMessage(local));
}

export const FULL_ROUTE: PathAttributes = {
  ...PLAIN_ATTRIBUTES,
  origin: 2,
  asPath: [
    { type: 2, asns: [65_001, 4_200_000_000] },
    { type: 1, asns: [1, 2] },
  ],
  nextHop: address("192.0.2.1"),
  med: 5,
  localPref: 100,
  atomicAggregate: true,
  aggregator: { as: 4_200_000_000, address: 0x0a000001 },
  communities: [0xfde80001],
  originatorId: 0x0a000002,
  clusterList: [0x0a000003, 0x0a000004],
  largeCommunities: ["1:2:3", "4200000000:0:4294967295"],
};

/** UPDATEs of both families and both encodings, to a peer with or without 4-octet AS. */
export function updates(fourOctetAs: boolean): Uint8Array {
  const writer = new UpdateWriter(session({ fourOctetAs, extendedNextHop: true }));
  const four = batch4([0x0a000000, 8], [0x0a010000, 16], [0, 0], [0xc0000201, 32]);
  const six = new PrefixBatch();
  six.reset(6);
  six.push6(0x20010db8, 0, 0, 0, 32);
  six.push6(0x20010db8, 0, 0, 1, 128);
  const nextHop = address("2001:db8::1");
  const linkLocalNextHop = address("fe80::1");
  writer.announce(FULL_ROUTE, four);
  writer.announce({ ...FULL_ROUTE, nextHop }, six);
  writer.announce({ ...FULL_ROUTE, nextHop, linkLocalNextHop }, six);
  writer.announce({ ...PLAIN_ATTRIBUTES, nextHop }, four);
  writer.announce({ ...FULL_ROUTE, extendedCommunities: ["0002fde800000064"] }, four);
  writer.withdraw(four);
  writer.withdraw(six);
  writer.endOfRib(4);
  writer.endOfRib(6);
  return writer.take();
}

/** Many prefixes with long attributes: full messages of 4096 octets. */
export function fullMessages(): Uint8Array {
  const writer = new UpdateWriter(session());
  const batch = new PrefixBatch();
  for (let i = 0; i < 2000; i++) batch.push4((0x0a000000 + (i << 8)) >>> 0, 24);
  const communities = Array.from({ length: 100 }, (_, i) => 0xfde80000 + i);
  writer.announce({ ...FULL_ROUTE, communities }, batch);
  writer.withdraw(batch);
  return writer.take();
}

export function refreshes(): Uint8Array[] {
  return [
    encodeRouteRefresh(4),
    encodeRouteRefresh(6),
    encodeRouteRefresh(4, 1),
    encodeRouteRefresh(6, 2),
  ];
}

/** Every code that we send, with the data that belongs to it. */
export function notifications(): Uint8Array[] {
  const text = encodeShutdownCommunication("maintenance until 22:00, ünïcode");
  const shutdown = { code: 6, subcode: 2, data: text };
  const none = new Uint8Array(0);
  const list = [
    { code: 1, subcode: 1, data: none },
    { code: 1, subcode: 2, data: Uint8Array.of(0, 18) },
    { code: 1, subcode: 3, data: Uint8Array.of(9) },
    { code: 2, subcode: 0, data: none },
    { code: 2, subcode: 1, data: Uint8Array.of(0, 4) },
    { code: 2, subcode: 2, data: none },
    { code: 2, subcode: 6, data: none },
    { code: 2, subcode: 7, data: Uint8Array.of(1, 4, 0, 2, 0, 1) },
    { code: 3, subcode: 5, data: Uint8Array.of(0x40, 1, 0) },
    { code: 3, subcode: 10, data: none },
    { code: 4, subcode: 0, data: none },
    { code: 5, subcode: 1, data: none },
    { code: 6, subcode: 1, data: Uint8Array.of(0, 1, 1, 0, 0, 3, 0xe8) },
    shutdown,
    { ...shutdown, subcode: 4 },
    { code: 6, subcode: 7, data: none },
    hardReset(shutdown),
    { code: 7, subcode: 1, data: encodeRouteRefresh(4) },
    { code: 8, subcode: 0, data: none },
  ];
  return list.map(encodeNotification);
}

export { encodeKeepalive };
