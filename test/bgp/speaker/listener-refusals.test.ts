/** The speaker's listeners over sockets that do as the test says. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Connection, ListenHandler, Transport } from "../../../src/bgp/session/transport.ts";
import { LISTEN_RETRY } from "../../../src/bgp/speaker/limits.ts";
import { Listeners } from "../../../src/bgp/speaker/listeners.ts";
import { parseAddress } from "../../../src/ip/address.ts";
import { FakeClock } from "../../support/fake-clock.ts";
import { recordingLog } from "../../support/recording-log.ts";

const US = parseAddress("192.0.2.1")!;
const PEER = parseAddress("192.0.2.9")!;
const WHERE = { address: US, port: 179 };
const REFUSED = {
  code: "EACCES",
  message: "cannot take connections on 192.0.2.1 port 179: not permitted here",
  takesNobody: true,
} as const;

function setUp() {
  const clock = new FakeClock();
  const { log, lines } = recordingLog();
  const made: ListenHandler[] = [];
  const transport: Transport = {
    dial: () => assert.fail("nobody is dialled"),
    listen(_options, handler) {
      made.push(handler);
      return { setPasswords: () => undefined, close: () => undefined };
    },
    defer: (callback) => callback(),
    afterInput: (callback) => callback(),
  };
  let changes = 0;
  const host = { accepted: () => undefined, changed: () => changes++, freed: () => undefined };
  const listeners = new Listeners({ transport, clock, random: () => 0, log }, host);
  listeners.set([WHERE], new Map());
  const status = () => listeners.status()[0]!;
  return { clock, lines, listeners, made, status, changes: () => changes };
}

test("a system that lets it take nobody is said until somebody is taken, and logged once", () => {
  const { clock, lines, listeners, made, status, changes } = setUp();
  for (let i = 0; i < 5; i++) {
    made.at(-1)!.listening();
    if (i > 0) assert.deepEqual(status(), { ...WHERE, listening: true, problem: REFUSED.message });
    made.at(-1)!.failed(REFUSED);
    assert.deepEqual(status(), { ...WHERE, listening: false, problem: REFUSED.message });
    // Nobody else has the port, so peers are dialled.
    assert.equal(listeners.takenFrom({ address: PEER, localAddress: US }), undefined);
    const before = made.length;
    clock.advance(Math.min(LISTEN_RETRY.maxMs, LISTEN_RETRY.firstMs * 2 ** i) - 1);
    assert.equal(made.length, before, "later and later");
    clock.advance(1);
    assert.equal(made.length, before + 1);
  }
  const stands = "info listening 192.0.2.1 179";
  const refused = `error cannot listen 192.0.2.1 179 EACCES ${REFUSED.message}`;
  assert.deepEqual(lines, [stands, refused]);
  made.at(-1)!.listening();
  const before = changes();
  made.at(-1)!.accepted({} as Connection);
  assert.deepEqual(status(), { ...WHERE, listening: true, problem: undefined });
  assert.equal(changes(), before + 1);
  assert.deepEqual(lines, [stands, refused, stands]);
  made.at(-1)!.accepted({} as Connection);
  assert.equal(changes(), before + 1);
});

test("what is wrong then counts, not what was before", () => {
  const { clock, made, status } = setUp();
  made.at(-1)!.listening();
  made.at(-1)!.failed(REFUSED);
  clock.advance(LISTEN_RETRY.maxMs);
  made.at(-1)!.failed({ code: "EADDRINUSE", message: "in use" });
  assert.equal(status().problem, "in use");
  clock.advance(LISTEN_RETRY.maxMs);
  made.at(-1)!.listening();
  assert.deepEqual(status(), { ...WHERE, listening: true, problem: undefined });
});
