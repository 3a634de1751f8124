/** Nobody is dialled while another program may be the speaker of our address; and no longer. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Listener } from "../../../src/bgp/session/transport.ts";
import { holdDials } from "../../../src/bgp/speaker/held-dials.ts";
import type { SpeakerConfig } from "../../../src/bgp/types.ts";
import type { IpAddress } from "../../../src/ip/address.ts";
import { MemoryHost } from "../../support/memory-network.ts";
import { plainPolicy } from "../../support/raw-peer.ts";
import { ip, type TestNode, World } from "../../support/speakers.ts";
import { End } from "../../support/transport-contract.ts";

const OWN = { address: ip("192.0.2.1"), port: 179 };

/** Another program that listens there. */
function occupy(host: MemoryHost, where: SpeakerConfig["listen"][number]): Listener {
  return host.listen(
    { ...where, passwords: new Map() },
    { listening() {}, accepted: () => undefined, failed() {} },
  );
}

/** A speaker with one peer that waits to be dialled; `before` is done before it starts. */
function start(before: (a: TestNode) => void, listen: SpeakerConfig["listen"] = [OWN]) {
  const world = new World();
  const a = world.node(OWN.address, { dialsNeedPort: true, listen });
  before(a);
  const b = world.node("192.0.2.2");
  a.peers([b]);
  b.peers([a], { passive: true });
  a.speaker.start();
  b.speaker.start();
  const standing = () => a.speaker.listening().map(({ listening }) => listening);
  return { world, a, b, standing };
}

test("with the port taken nobody is dialled who may have a session with its owner", () => {
  let owner: Listener | undefined;
  const { world, a, b, standing } = start(({ host }) => {
    owner = occupy(host, OWN);
  });
  world.advance(60_000);
  assert.equal(world.network.dials, 0);
  const { lastError } = a.status(b);
  assert.equal(lastError?.reason, "not dialled: another program listens on our port 179");
  owner?.close();
  world.until(() => a.isUp(b), "session once the port is ours", 6_000);
  assert.deepEqual(standing(), [true]);
});

test("who may not listen dials nobody: another one may be the speaker here", () => {
  const { world, a, b } = start(({ host }) => {
    host.listen = (_, handler) => {
      host.defer(() => handler.failed({ code: "EACCES", message: "no" }));
      return { setPasswords: () => undefined, close() {} };
    };
  });
  world.advance(60_000);
  assert.equal(world.network.dials, 0);
  const { lastError } = a.status(b);
  assert.equal(lastError?.reason, "not dialled: not permitted to listen on our port 179");
  a.host.listen = MemoryHost.prototype.listen;
  world.until(() => a.isUp(b), "session once the port is ours", 6_000);
});

test("a port that is taken elsewhere keeps no peer from being dialled", () => {
  const elsewhere = [
    { ...OWN, port: 1790 },
    { ...OWN, address: ip("198.51.100.1") },
    { ...OWN, address: ip("2001:db8::1") },
  ];
  for (const taken of elsewhere) {
    const occupied = ({ world }: TestNode) => {
      occupy(world.network.host(OWN.address, taken.address), taken);
    };
    const { world, a, b, standing } = start(occupied, [taken, OWN]);
    world.until(() => a.isUp(b), "session", 1_000);
    assert.deepEqual(standing(), [false, true]);
  }
});

test("a port that is not wanted any more keeps nobody waiting", () => {
  const { world, a, b } = start(({ host }) => void occupy(host, OWN));
  world.advance(60_000);
  a.speaker.setConfig({ ...a.speaker.config, listen: [{ ...OWN, port: 1790 }] });
  world.until(() => a.isUp(b), "session", 1_000);
});

test("a dial that is not made fails, later, and only who has not given it up is told", () => {
  const world = new World();
  const held = holdDials(world.network.host(OWN.address), () => "the reason");
  const ends = [new End(), new End(), new End()];
  const options = { ...OWN, localAddress: undefined, policy: plainPolicy };
  const [waits, closes, resets] = ends.map((end) => held.dial(options, end));
  assert.deepEqual([waits?.queuedBytes, waits?.sentBytes, waits?.write([])], [0, 0, true]);
  closes?.close();
  resets?.reset();
  const reasons = () => ends.map(({ reason }) => reason);
  assert.deepEqual(reasons(), [undefined, undefined, undefined], "not from inside of the call");
  world.advance(1);
  assert.deepEqual(reasons(), ["not dialled: the reason", undefined, undefined]);
});

test("what is no dial is the transport's", () => {
  const host = new World().network.host(OWN.address);
  const asked: string[] = [];
  const transport = Object.assign(host, {
    addressesBeside: (own: IpAddress) => {
      asked.push(own);
      return [own];
    },
    afterInput: () => void asked.push("afterInput"),
  });
  const held = holdDials(transport, () => "the reason");
  assert.deepEqual(held.addressesBeside?.(OWN.address), [OWN.address]);
  held.afterInput(() => undefined);
  assert.deepEqual(asked, [OWN.address, "afterInput"]);
});
