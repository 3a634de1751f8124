/** Listeners that stand, fail and are tried again, on a transport that does what a test tells it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type {
  ListenHandler,
  ListenOptions,
  Transport,
} from "../../../src/bgp/session/transport.ts";
import { LISTEN_RETRY } from "../../../src/bgp/speaker/limits.ts";
import { Listeners } from "../../../src/bgp/speaker/listeners.ts";
import type { IpAddress } from "../../../src/ip/address.ts";
import { recordingLog } from "../../support/recording-log.ts";
import { ip, World } from "../../support/speakers.ts";

const HERE = { address: ip("192.0.2.1"), port: 179 };
const BESIDE = { ...HERE, port: 1790 };
const DIAL = { address: ip("192.0.2.9"), localAddress: HERE.address };
const TAKEN = { code: "EADDRINUSE", message: "it is taken" };
const OTHER = { code: "EMFILE", message: "too many" };

/** Without jitter. */
const random = () => 0;

class Asked {
  readonly options: ListenOptions;
  readonly handler: ListenHandler;
  keyProblem: string | undefined;
  keys: ReadonlyMap<IpAddress, string>[] = [];
  closed = false;

  constructor(options: ListenOptions, handler: ListenHandler) {
    this.options = options;
    this.handler = handler;
  }

  setPasswords(keys: ReadonlyMap<IpAddress, string>): string | undefined {
    this.keys.push(keys);
    return this.keyProblem;
  }

  close(): void {
    this.closed = true;
  }
}

function lab() {
  const { clock, network } = new World();
  const asked: Asked[] = [];
  const transport: Transport = Object.assign(network.host(), {
    listen: (options: ListenOptions, handler: ListenHandler) => {
      const one = new Asked(options, handler);
      asked.push(one);
      return one;
    },
  });
  const told: string[] = [];
  const { log, lines } = recordingLog();
  const listeners = new Listeners(
    { transport, clock, random, log },
    {
      accepted: () => undefined,
      changed: () => told.push("changed"),
      freed: () => told.push("freed"),
    },
  );
  const news = () => told.splice(0);
  const status = () => listeners.status().map(({ listening, problem }) => [listening, problem]);
  return { clock, asked, listeners, lines, news, status };
}

test("a listener is said to stand when it does, and no sooner", () => {
  const { asked, listeners, lines, status, news } = lab();
  listeners.set([HERE], new Map());
  assert.deepEqual([status(), news(), lines], [[[false, undefined]], [], []]);
  asked[0]!.handler.listening();
  assert.deepEqual(lines, ["info listening 192.0.2.1 179"]);
  assert.deepEqual([status(), news()], [[[true, undefined]], ["changed"]]);
});

test("each time that one falls is the first: it is told, and tried again soon", () => {
  const { clock, asked, listeners, lines, status, news } = lab();
  listeners.set([HERE], new Map());
  for (const round of [1, 2]) {
    news();
    asked.at(-1)!.handler.failed(TAKEN);
    assert.equal(lines.filter((line) => line.startsWith("error cannot listen")).length, round);
    assert.deepEqual([status(), news()], [[[false, TAKEN.message]], ["changed"]]);
    const before = asked.length;
    clock.advance(LISTEN_RETRY.firstMs - 1);
    assert.equal(asked.length, before);
    clock.advance(1);
    assert.equal(asked.length, before + 1);
    // Later ones come later, and are not told.
    asked.at(-1)!.handler.failed(TAKEN);
    assert.equal(lines.filter((line) => line.startsWith("error cannot listen")).length, round);
    clock.advance(2 * LISTEN_RETRY.firstMs - 1);
    assert.equal(asked.length, before + 1);
    clock.advance(1);
    assert.equal(asked.length, before + 2);
    asked.at(-1)!.handler.listening();
    assert.deepEqual(status(), [[true, undefined]]);
  }
});

test("one that is not wanted any more is closed, and is not tried again", () => {
  const { clock, asked, listeners, status } = lab();
  listeners.set([HERE, BESIDE], new Map());
  asked[0]!.handler.listening();
  asked[1]!.handler.failed(OTHER);
  listeners.set([], new Map());
  assert.deepEqual([asked[0]!.closed, status(), clock.pendingCount], [true, [], 0]);
  assert.deepEqual([asked[1]!.keys, asked[1]!.closed], [[], false], "it has ended already");
});

test("waiting dials are tried when another program is gone, once", () => {
  const { clock, asked, listeners, news } = lab();
  listeners.set([HERE], new Map());
  asked[0]!.handler.failed(TAKEN);
  clock.advance(LISTEN_RETRY.firstMs);
  news();
  asked[1]!.handler.listening();
  assert.deepEqual(news(), ["changed", "freed"]);
  listeners.close();
  assert.deepEqual(news(), [], "it was ours already");
  listeners.set([HERE], new Map());
  asked[2]!.handler.failed(TAKEN);
  news();
  listeners.close();
  assert.deepEqual(news(), ["freed"], "it is not wanted any more");
});

test("who may listen in our place: where the dial comes from, while none of ours stands there", () => {
  const { asked, listeners } = lab();
  const reason = "another program listens on our port 179";
  const anywhere = { ...DIAL, localAddress: undefined };
  const taken = () => listeners.takenFrom(DIAL);
  for (const [address, somewhere, here] of [
    ["198.51.100.1", reason, undefined],
    ["0.0.0.0", reason, reason],
    ["::", undefined, undefined],
  ] as const) {
    listeners.set([{ ...HERE, address: ip(address) }], new Map());
    asked.at(-1)!.handler.failed(TAKEN);
    const found = [listeners.takenFrom(anywhere), taken()];
    assert.deepEqual(found, [somewhere, here], address);
  }
  listeners.set([HERE, BESIDE], new Map());
  const [one, other] = asked.slice(-2) as [Asked, Asked];
  one.handler.failed(TAKEN);
  assert.equal(taken(), reason);
  other.handler.failed(OTHER);
  assert.equal(taken(), reason, "whatever keeps the other one from standing");
  other.handler.listening();
  assert.equal(taken(), undefined);
});

test("keys that are not set are told of, once, and while it stands", () => {
  const { asked, listeners, lines, status, news } = lab();
  listeners.set([HERE], new Map());
  const [one] = asked as [Asked];
  one.keyProblem = "no room";
  const keys = new Map([[DIAL.address, "key"]]);
  listeners.set([HERE, BESIDE], keys);
  assert.deepEqual([one.keys, asked[1]!.options.passwords], [[keys], keys]);
  assert.deepEqual([status()[0], news()], [[false, undefined], []]);
  one.handler.listening();
  assert.deepEqual(status()[0], [true, "no room"]);
  news();
  listeners.set([HERE], keys);
  assert.deepEqual([news(), lines.filter((line) => line.startsWith("error MD5")).length], [[], 1]);
  one.keyProblem = undefined;
  listeners.set([HERE], new Map());
  assert.deepEqual([status(), news()], [[[true, undefined]], ["changed"]]);
  assert.equal(lines.filter((line) => line.startsWith("error MD5")).length, 1);
});
