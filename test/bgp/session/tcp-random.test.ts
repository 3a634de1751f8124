/**
 * Connections over the loopback that write, pause, close, reset and dial at random, in callbacks
 * and between them, also where the kernel refuses now and then: the contract of transport.ts holds,
 * what came is what was written, and no socket is left over.
 */
import assert from "node:assert/strict";
import { readdirSync, readlinkSync } from "node:fs";
import { test } from "node:test";
import { setImmediate as nextTurn, setTimeout as sleep } from "node:timers/promises";
import fc from "fast-check";
import { Errno, linuxSys } from "netlink-ts";
import { TcpTransport } from "../../../src/bgp/session/tcp-transport.ts";
import {
  type Acceptance,
  type Connection,
  type ConnectionHandler,
  LINGER_MS,
  type Listener,
} from "../../../src/bgp/session/transport.ts";
import { type IpAddress, parseAddress } from "../../../src/ip/address.ts";
import { plainPolicy } from "../../support/raw-peer.ts";
import { seededRandom } from "../../support/speakers.ts";

const RUNS = Number(process.env["TCP_RUNS"] ?? 6);
const LISTENING = parseAddress("127.0.0.1")!;
const WAIT_MS = 10_000;
const STEPS = 150;
const DIALS_MAX = 60;

async function until(condition: () => boolean, what: () => string): Promise<void> {
  const end = performance.now() + WAIT_MS;
  while (!condition() && performance.now() < end) await sleep(2);
  assert.ok(condition(), `waited in vain: ${what()}`);
}

/** Sockets and epoll instances of this process. */
function openSockets(): number {
  const targets = readdirSync("/proc/self/fd").map((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`);
    } catch {
      return "gone";
    }
  });
  return targets.filter((target) => /^socket|eventpoll/.test(target)).length;
}

/** What each connection sends, from any place in it. */
const octetAt = (position: number) => (position * 131 + (position >> 8) * 7) & 0xff;

/** One end of a connection, which notes what is against the contract. */
class Watched implements ConnectionHandler {
  connection: Connection | undefined;
  other: Watched | undefined;
  written = 0;
  read = 0;
  isConnected: boolean;
  /** What we did, or were told. */
  end: "close" | "reset" | { readonly reason: string } | undefined;
  /** When we began to close it. */
  #closedAt = 0;
  #inCall = false;
  #paused = false;
  #full = false;
  readonly #world: Chaos;

  constructor(world: Chaos, accepted: boolean) {
    this.#world = world;
    this.isConnected = accepted;
    world.ends.push(this);
  }

  connected(): void {
    this.#told("connected", !this.isConnected);
    this.isConnected = true;
    this.#world.perhaps(this);
  }

  received(chunk: Uint8Array): void {
    this.#told("received", this.isConnected && !this.#paused);
    const right = chunk.every((octet, index) => octet === octetAt(this.read + index));
    this.read += chunk.length;
    if (!right || this.read > (this.other?.written ?? 0)) this.#world.say("octets not written");
    this.#world.perhaps(this);
  }

  writable(): void {
    this.#told("writable", this.#full);
    this.#full = false;
    this.#world.perhaps(this);
  }

  closed(reason: string): void {
    this.#told("closed", true);
    this.end = { reason };
    const { other } = this;
    const isWhole = !other?.mustFinish || other.written === this.read;
    if (reason === "closed by peer" && !isWhole) this.#world.say("closed before its last octets");
    this.#world.perhaps(this);
  }

  write(random: () => number): void {
    const parts = Array.from({ length: 1 + Math.floor(random() * 4) }, () => {
      const length = Math.floor(random() * (random() < 0.2 ? 150_000 : 200));
      const part = Uint8Array.from({ length }, (_, index) => octetAt(this.written + index));
      if (this.end === undefined) this.written += length;
      return part;
    });
    if (!this.#call((connection) => connection.write(parts))) this.#full = true;
  }

  pause(): void {
    this.#paused = true;
    this.#call((connection) => connection.pause());
  }

  resume(): void {
    this.#paused = false;
    this.#call((connection) => connection.resume());
  }

  finish(how: "close" | "reset"): void {
    if (this.end === undefined) this.#closedAt = performance.now();
    if (this.end === undefined || this.end === "close") this.end = how;
    this.#call((connection) => connection[how]());
  }

  /** All that was written goes out before the end; unless the machine lets us stand for so long. */
  get mustFinish(): boolean {
    const isLate = performance.now() - this.#closedAt >= LINGER_MS;
    return this.end === "close" && this.isConnected && !isLate;
  }

  get shown(): string {
    return JSON.stringify({ read: this.read, written: this.written, end: this.end });
  }

  #call<T>(action: (connection: Connection) => T): T {
    const outer = this.#inCall;
    this.#inCall = true;
    const result = action(this.connection!);
    this.#inCall = outer;
    return result;
  }

  #told(what: string, fits: boolean): void {
    if (fits && this.end === undefined && !this.#inCall) return;
    this.#world.say(`${what}, and ${JSON.stringify(this.end)}, in a call: ${this.#inCall}`);
  }
}

class Chaos {
  readonly ends: Watched[] = [];
  readonly wrong = new Set<string>();
  /** While others act at random. */
  lively = true;
  readonly #random: () => number;
  readonly #near = new TcpTransport();
  readonly #far: TcpTransport;
  readonly #port: number;
  readonly #dialled = new Map<IpAddress, Watched>();
  #listener: Listener | undefined;
  #depth = 0;

  constructor(random: () => number) {
    this.#random = random;
    this.#far = random() < 0.5 ? this.#near : new TcpTransport();
    this.#port = 20_000 + Math.floor(random() * 10_000);
    this.listen();
  }

  say(what: string): void {
    this.wrong.add(what);
  }

  listen(): void {
    this.#listener?.close();
    const options = { address: LISTENING, port: this.#port, passwords: new Map() };
    this.#listener = this.#far.listen(options, {
      listening() {},
      failed: () => {
        this.#listener = undefined;
      },
      accepted: (connection) => this.#accepted(connection),
    });
  }

  #accepted(connection: Connection): Acceptance | undefined {
    if (this.#random() < 0.1) return undefined;
    const handler = new Watched(this, true);
    handler.connection = connection;
    const dialled = this.#dialled.get(connection.remoteAddress);
    if (dialled === undefined) this.say("a stranger");
    else [handler.other, dialled.other] = [dialled, handler];
    if (this.#random() < 0.3) handler.write(this.#random);
    const x = this.#random();
    if (x < 0.1) handler.finish(x < 0.05 ? "close" : "reset");
    const bindInterface = this.#random() < 0.05 ? "no-such-device" : undefined;
    return { handler, policy: { ...plainPolicy, bindInterface } };
  }

  dial(): void {
    const id = this.#dialled.size;
    const localAddress = parseAddress(`127.1.0.${id + 1}`)!;
    const end = new Watched(this, false);
    this.#dialled.set(localAddress, end);
    const port = this.#random() < 0.1 ? 1 : this.#port;
    const options = { address: LISTENING, port, localAddress, policy: plainPolicy };
    end.connection = this.#near.dial(options, end);
  }

  /** From a callback: not always, and not without end. */
  perhaps(end: Watched): void {
    if (this.#depth < 4 && this.#random() < 0.4) this.act(end);
  }

  act(self?: Watched): void {
    if (!this.lively) return;
    this.#depth++;
    const random = this.#random;
    const made = this.ends.filter(({ connection }) => connection !== undefined);
    const live = made.filter(({ end }) => end === undefined);
    const from = random() < 0.9 && live.length > 0 ? live : made;
    const other = from[Math.floor(random() * from.length)];
    const end = self?.connection !== undefined && random() < 0.6 ? self : other;
    const x = random();
    if (end === undefined || x < 0.15) {
      if (this.#dialled.size < DIALS_MAX) this.dial();
    } else if (x < 0.5) end.write(random);
    else if (x < 0.6) end.pause();
    else if (x < 0.76) end.resume();
    else if (x < 0.86) end.finish("close");
    else if (x < 0.91) end.finish("reset");
    else if (x < 0.93) this.listen();
    else this.#near.afterInput(() => this.act());
    this.#depth--;
  }

  /** Nobody does anything more but to read: all that was written comes, and the ends. */
  async settle(): Promise<void> {
    this.lively = false;
    for (const end of this.ends) if (end.end === undefined) end.resume();
    const waits = () =>
      this.ends.filter(({ end, other, read }) => {
        if (end !== undefined || other === undefined) return false;
        return other.end === undefined ? read !== other.written : other.end === "close";
      });
    await until(
      () => waits().length === 0,
      () =>
        waits()
          .map(({ shown, other }) => `${shown} of ${other?.shown}`)
          .join(),
    );
    for (const end of this.ends) end.finish("reset");
    this.#listener?.close();
  }
}

/** The kernel refuses, takes a part, or is short of something; gives what ends that. */
function faults(random: () => number): () => void {
  const kernel = { ...linuxSys };
  const now = (share: number) => random() < share;
  const later = () => -(now(0.5) ? Errno.EAGAIN : Errno.EINTR);
  linuxSys.send = (fd, bytes, length) => {
    if (now(0.1)) return later();
    return kernel.send(fd, bytes, now(0.2) ? Math.ceil(length * random()) : length);
  };
  linuxSys.receive = (fd, bytes, flags) => {
    if (now(0.1)) return later();
    const room = now(0.2) ? 1 + Math.floor(random() * 50) : bytes.length;
    return kernel.receive(fd, bytes.subarray(0, room), flags);
  };
  const accepts = [Errno.EMFILE, Errno.ENOMEM, Errno.EINTR, Errno.EAGAIN, Errno.EPERM];
  const accept = () => -accepts[Math.floor(random() * accepts.length)]!;
  linuxSys.accept = (...args) => (now(0.1) ? accept() : kernel.accept(...args));
  linuxSys.socket = (...args) => (now(0.02) ? -Errno.EMFILE : kernel.socket(...args));
  linuxSys.bind = (...args) => (now(0.02) ? -Errno.ENOMEM : kernel.bind(...args));
  linuxSys.listen = (...args) => (now(0.05) ? -Errno.ENOMEM : kernel.listen(...args));
  linuxSys.connect = (...args) => (now(0.02) ? -Errno.ENETUNREACH : kernel.connect(...args));
  linuxSys.setsockopt = (...args) => (now(0.02) ? -Errno.ENOBUFS : kernel.setsockopt(...args));
  linuxSys.getsockname = (...args) => (now(0.05) ? -Errno.ENOBUFS : kernel.getsockname(...args));
  linuxSys.epollCreate = () => (now(0.05) ? -Errno.EMFILE : kernel.epollCreate());
  const ADD = 1;
  linuxSys.epollControl = (epoll, operation, ...args) => {
    if (operation === ADD && now(0.02)) return -Errno.ENOMEM;
    return kernel.epollControl(epoll, operation, ...args);
  };
  return () => Object.assign(linuxSys, kernel);
}

async function run(seed: number, faulty: boolean): Promise<void> {
  const before = openSockets();
  const random = seededRandom(seed);
  const stopFaults = faulty ? faults(random) : () => undefined;
  const world = new Chaos(random);
  try {
    for (let step = 0; step < STEPS; step++) {
      for (let i = 0; i < 3; i++) world.act();
      if (random() < 0.7) await nextTurn();
      else await sleep(random() * 2);
    }
  } finally {
    stopFaults();
  }
  await world.settle();
  assert.deepEqual([...world.wrong], []);
  await until(
    () => openSockets() <= before,
    () => `${openSockets()} sockets, ${before} before`,
  );
}

for (const faulty of [false, true]) {
  const where = faulty ? "where the kernel refuses now and then" : "where the kernel is willing";
  test(`whatever is done at random keeps the contract, ${where}`, async () => {
    const runs = fc.asyncProperty(fc.integer(), (seed) => run(seed, faulty));
    await fc.assert(runs, { numRuns: RUNS, endOnFailure: true });
  });
}
