/** A hundred thousand prefixes in and out. */
import assert from "node:assert/strict";
import { readBgpMessages } from "../../support/pcap-reader.ts";
import { injectorAddress } from "../../support/peers/injector.ts";
import type { PeerDaemon } from "../../support/peers/peer.ts";
import { until } from "../../support/shell.ts";
import { assertDecodes } from "../capture-check.ts";
import type { Peering } from "../peering.ts";
import { injectedRoute } from "../routes-data.ts";
import { type Scenario, withPeering } from "../scenario.ts";

export const BULK_PREFIXES = 100_000;
const PREFIXES_PER_UPDATE = 100;
const BULK_MS_MAX = 120_000;

/** Milliseconds from the injector's first byte until `to` has all that `from` was fed. */
async function flood(peering: Peering, to: PeerDaemon, neighbor: string): Promise<number> {
  const side = to === peering.left ? "right" : "left";
  const { opaque, ...route } = injectedRoute(side, 1);
  void opaque;
  const before = performance.now();
  const sets = BULK_PREFIXES / PREFIXES_PER_UPDATE;
  await peering.injector!.bulk({ route, total: BULK_PREFIXES, each: PREFIXES_PER_UPDATE, sets });
  let count = 0;
  await until(
    `${to.name} has ${BULK_PREFIXES} prefixes`,
    async () => {
      count = await to.routeCount(neighbor, 4);
      return count === BULK_PREFIXES;
    },
    BULK_MS_MAX,
    100,
  ).catch((late: Error) => {
    throw new Error(`${late.message}; it has ${count}`);
  });
  return performance.now() - before;
}

/** All gone when the feeder goes. */
async function drain(peering: Peering, to: PeerDaemon, neighbor: string): Promise<number> {
  const before = performance.now();
  await peering.injector!.kill();
  const gone = async () => (await to.routeCount(neighbor, 4)) === 0;
  await until(`${to.name} has no prefix left`, gone, BULK_MS_MAX, 100);
  return performance.now() - before;
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(2)} s`;
}

export const bulkOut: Scenario = {
  name: "100,000 prefixes: we pass them on",
  kinds: ["ebgp"],
  run: (cell) =>
    withPeering(cell, { dial: "left", injector: "left", decoders: "none" }, async (peering) => {
      const { right, address } = peering;
      await peering.up();
      const load = await flood(peering, right, address.left);
      const unload = await drain(peering, right, address.left);
      cell.t.diagnostic(
        `${cell.daemon.name} took 100,000 from us in ${seconds(load)}, gone in ${seconds(unload)}`,
      );
      await peering.capture.stop();
      const messages = await assertDecodes(peering.capture.file, address.left, { tcpdump: false });
      assert.ok(messages >= BULK_PREFIXES / PREFIXES_PER_UPDATE, `${messages} messages`);
    }),
};

export const bulkIn: Scenario = {
  name: "100,000 prefixes: they pass them on to us",
  kinds: ["ebgp"],
  needs: ["passesOn"],
  run: (cell) =>
    withPeering(cell, { dial: "left", injector: "right" }, async (peering) => {
      const { left, address } = peering;
      await peering.up();
      const load = await flood(peering, left, address.right);
      const unload = await drain(peering, left, address.right);
      cell.t.diagnostic(
        `${cell.daemon.name} gave us 100,000 in ${seconds(load)}, gone in ${seconds(unload)}`,
      );
    }),
};

export const longMessages: Scenario = {
  name: "messages of more than 4096 octets",
  needs: ["extendedMessage"],
  kinds: ["ebgp"],
  run: (cell) => {
    const neighbor = { extendedMessage: true };
    const options = { dial: "left", injector: "left", neighbor, decoders: "none" } as const;
    return withPeering(cell, options, async (peering) => {
      const { left, right, address, injector } = peering;
      // All prefixes are there before the peer is, so that they fit into one message.
      const total = 3000;
      await left.start();
      await injector!.start();
      await injector!.bulk({ route: injectedRoute("left", 1), total, each: 500, sets: 1 });
      await until("we have them", async () => {
        return (await left.routeCount(injectorAddress("left"), 4)) === total;
      });
      await right.start();
      await until("they have them", async () => {
        return (await right.routeCount(address.left, 4)) === total;
      });
      await peering.capture.stop();
      // Both decoders are older than RFC 8654 ("Length is invalid 12114"): framed by hand here.
      const messages = await readBgpMessages(peering.capture.file);
      const lengths = messages
        .filter((message) => message.source === address.left)
        .map((message) => message.hex.length / 2);
      assert.ok(Math.max(...lengths) > 4096, `lengths of our messages: ${lengths}`);
    });
  },
};
