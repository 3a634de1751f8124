/** The exchange of the seed, byte for byte, between two live speakers. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { PeerConfig, SpeakerConfig } from "../../../src/bgp/types.ts";
import { SEED_EXCHANGE } from "../../fixtures/seed-exchange.ts";
import { ip, World } from "../../support/speakers.ts";

const node1 = ip("192.168.50.50");
const node3 = ip("192.168.50.52");

/** Messages by sender, cut by their length fields. */
function capture(world: World): Map<string, string[]> {
  const streams = new Map<string, string>();
  const messages = new Map<string, string[]>([
    [node1, []],
    [node3, []],
  ]);
  world.network.capture = ({ from, bytes }) => {
    let stream = (streams.get(from) ?? "") + Buffer.from(bytes).toString("hex");
    for (let length = 0; ; stream = stream.slice(length)) {
      length = Number.parseInt(stream.slice(32, 36) || "0", 16) * 2;
      if (length === 0 || stream.length < length) break;
      messages.get(from)!.push(stream.slice(0, length));
    }
    streams.set(from, stream);
  };
  return messages;
}

function seedMessages(from: "node1" | "node3"): string[] {
  return SEED_EXCHANGE.filter((message) => message.from === from).map(({ hex }) => hex);
}

test("node3 is remade and node1 opens the session: every byte is the seed's", () => {
  assert.equal(SEED_EXCHANGE.length, 8);
  const world = new World();
  const settings = (hostName: string): Partial<SpeakerConfig> => ({ hostName });
  const a = world.node(node1, settings("node1"));
  const b = world.node(node3, { hostName: "node3", restarted: true });
  const passive: Partial<PeerConfig> = { passive: true };
  a.peers([b]).originate("10.233.64.0/24");
  b.peers([a], passive).originate("10.233.68.0/24");
  const messages = capture(world);
  a.speaker.start();
  b.speaker.start();
  world.until(() => a.routes().length === 1 && b.routes().length === 1, "routes");
  world.advance(1_000);
  assert.deepEqual(messages.get(node1), seedMessages("node1"));
  assert.deepEqual(messages.get(node3), seedMessages("node3"));
});

test("without graceful restart the OPEN has 62 bytes and neither side waits for the other", () => {
  const world = new World();
  const a = world.node(node1, { hostName: "node1" });
  const b = world.node(node3, { hostName: "node3", restarted: true });
  a.peers([b], { gracefulRestart: undefined }).originate("10.233.64.0/24");
  b.peers([a], { gracefulRestart: undefined, passive: true }).originate("10.233.68.0/24");
  const messages = capture(world);
  a.speaker.start();
  b.speaker.start();
  world.until(() => a.routes().length === 1 && b.routes().length === 1, "routes");
  const [seed] = seedMessages("node1");
  const shorter = seed!
    .replace("4006005a00010100", "")
    .replace("0046" + "01", "003e" + "01")
    .replace("290227", "21021f");
  assert.equal(shorter.length, 2 * 62);
  assert.equal(messages.get(node1)![0], shorter);
});
