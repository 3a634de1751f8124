/** What every transport must do; run over TCP and over the network in memory alike. */
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  type Connection,
  type ConnectionHandler,
  type ListenHandler,
  type ListenProblem,
  QUEUE_BYTES_HIGH,
  type SocketPolicy,
  type Transport,
} from "../../src/bgp/session/transport.ts";
import type { IpAddress } from "../../src/ip/address.ts";
import { plainPolicy } from "./raw-peer.ts";

/** Two machines that reach each other, and time. */
export interface TransportWorld {
  readonly near: Transport;
  readonly far: Transport;
  readonly nearAddress: IpAddress;
  readonly farAddress: IpAddress;
  /** Free on both. */
  readonly port: number;
  /** Lets time pass until the condition holds; fails when it does not in a few seconds. */
  until(condition: () => boolean, what: string): Promise<void>;
  /** Lets `ms` pass. */
  pass(ms: number): Promise<void>;
}

/** One end of a connection as a test sees it. */
export class End implements ConnectionHandler {
  connection: Connection | undefined;
  readonly log: string[] = [];
  readonly chunks: Uint8Array[] = [];
  bytes = 0;
  writables = 0;
  reason: string | undefined;

  connected(): void {
    this.log.push("connected");
  }

  received(chunk: Uint8Array): void {
    this.chunks.push(Uint8Array.from(chunk));
    this.bytes += chunk.length;
  }

  writable(): void {
    this.writables++;
  }

  closed(reason: string): void {
    this.log.push("closed");
    this.reason = reason;
  }

  get text(): string {
    return Buffer.concat(this.chunks).toString();
  }
}

class Server implements ListenHandler {
  readonly ends: End[] = [];
  problem: ListenProblem | undefined;
  stands = false;
  refuses = false;
  policy: SocketPolicy = plainPolicy;
  onAccept: ((end: End) => void) | undefined;

  listening(): void {
    this.stands = true;
  }

  accepted(connection: Connection) {
    if (this.refuses) return undefined;
    const end = new End();
    end.connection = connection;
    this.ends.push(end);
    this.onAccept?.(end);
    return { handler: end, policy: this.policy };
  }

  failed(problem: ListenProblem): void {
    this.problem = problem;
  }
}

const bytes = (text: string) => new TextEncoder().encode(text);

/** Declares the tests. `make` gives a fresh world; `release` ends it. */
export function transportContract(
  name: string,
  make: () => Promise<TransportWorld & { release(): void }>,
): void {
  const run = (what: string, body: (world: TransportWorld) => Promise<void>) =>
    test(`${name}: ${what}`, async () => {
      const world = await make();
      try {
        await body(world);
      } finally {
        world.release();
      }
    });

  async function serve(world: TransportWorld, passwords = new Map<IpAddress, string>()) {
    const server = new Server();
    const { farAddress: address, port } = world;
    const listener = world.far.listen({ address, port, passwords }, server);
    await world.until(() => server.stands, "listening");
    return { server, listener };
  }

  function dial(world: TransportWorld, policy: SocketPolicy = plainPolicy): End {
    const end = new End();
    const { farAddress: address, nearAddress: localAddress, port } = world;
    end.connection = world.near.dial({ address, port, localAddress, policy }, end);
    return end;
  }

  async function pair(world: TransportWorld) {
    const { server, listener } = await serve(world);
    const near = dial(world);
    await world.until(() => near.log.length > 0 && server.ends.length > 0, "connected");
    const far = server.ends[0]!;
    return { near, far, server, listener, out: near.connection!, back: far.connection! };
  }

  run("a dial is answered, both ends know their addresses", async (world) => {
    const { near, out, back, listener } = await pair(world);
    assert.deepEqual(near.log, ["connected"]);
    assert.equal(out.localAddress, world.nearAddress);
    assert.equal(out.remoteAddress, world.farAddress);
    assert.equal(out.remotePort, world.port);
    assert.equal(back.localAddress, world.farAddress);
    assert.equal(back.remoteAddress, world.nearAddress);
    out.reset();
    listener.close();
  });

  run("bytes arrive in order, both ways, as one stream", async (world) => {
    const { near, far, out, back, listener } = await pair(world);
    out.write([bytes("one "), bytes("two ")]);
    out.write([bytes("three")]);
    back.write([bytes("answer")]);
    await world.until(() => far.bytes === 13 && near.bytes === 6, "bytes");
    assert.equal(far.text, "one two three");
    assert.equal(near.text, "answer");
    assert.equal(out.queuedBytes, 0);
    assert.equal(out.sentBytes, 13);
    out.reset();
    listener.close();
  });

  run("what is written while accepting is sent", async (world) => {
    const { server, listener } = await serve(world);
    server.onAccept = (end) => void end.connection!.write([bytes("OPEN")]);
    const near = dial(world);
    await world.until(() => near.bytes === 4, "bytes");
    assert.equal(near.text, "OPEN");
    near.connection!.reset();
    listener.close();
  });

  run("nobody listens: refused, once", async (world) => {
    const near = dial(world);
    await world.until(() => near.reason !== undefined, "closed");
    await world.pass(20);
    assert.deepEqual([near.log, near.reason], [["closed"], "connection refused"]);
  });

  run("a refused connection ends, and the listener goes on", async (world) => {
    const { server, listener } = await serve(world);
    server.refuses = true;
    const near = dial(world);
    await world.until(() => near.reason !== undefined, "closed");
    assert.equal(server.ends.length, 0);
    server.refuses = false;
    const again = dial(world);
    await world.until(() => server.ends.length === 1, "second");
    again.connection!.reset();
    listener.close();
  });

  run("close sends what is queued first", async (world) => {
    const { near, far, out, listener } = await pair(world);
    out.write([new Uint8Array(100_000), bytes("NOTIFICATION")]);
    out.close();
    assert.equal(out.write([bytes("never")]), true, "there is no room to be waited for");
    await world.until(() => far.reason !== undefined, "closed");
    assert.equal(far.bytes, 100_012);
    assert.equal(far.reason, "closed by peer");
    await world.pass(20);
    assert.deepEqual(near.log, ["connected"], "who closes hears nothing");
    listener.close();
  });

  run("close reaches a peer that still sends", async (world) => {
    const { far, out, back, listener } = await pair(world);
    back.write([new Uint8Array(50_000)]);
    out.pause();
    await world.pass(20);
    out.write([bytes("NOTIFICATION")]);
    out.close();
    await world.until(() => far.reason !== undefined, "closed");
    assert.equal(far.text, "NOTIFICATION");
    listener.close();
  });

  run("reset ends the other side, once", async (world) => {
    const { near, far, out, listener } = await pair(world);
    out.reset();
    out.reset();
    out.close();
    await world.until(() => far.reason !== undefined, "closed");
    await world.pass(20);
    assert.deepEqual(far.log, ["closed"]);
    assert.deepEqual(near.log, ["connected"]);
    listener.close();
  });

  run("who resets hears nothing", async (world) => {
    const { near, far, out, listener } = await pair(world);
    out.reset();
    await world.until(() => far.reason !== undefined, "closed");
    await world.pass(20);
    assert.deepEqual(near.log, ["connected"]);
    listener.close();
  });

  run("a dial that is given up says nothing more", async (world) => {
    const { listener } = await serve(world);
    const near = dial(world);
    near.connection!.close();
    await world.pass(50);
    assert.deepEqual(near.log, []);
    listener.close();
  });

  run("paused: nothing comes, and nothing is lost", async (world) => {
    const { far, out, back, listener } = await pair(world);
    back.pause();
    out.write([bytes("later")]);
    await world.pass(50);
    assert.equal(far.bytes, 0);
    back.resume();
    await world.until(() => far.bytes === 5, "bytes");
    out.close();
    await world.until(() => far.reason !== undefined, "closed");
    listener.close();
  });

  run(
    "a peer that does not read fills the queue; write says so, writable says when",
    async (world) => {
      const { near, far, out, back, listener } = await pair(world);
      back.pause();
      await world.pass(10);
      const block = new Uint8Array(64 * 1024);
      let written = 0;
      for (let accepted = true; accepted; ) {
        accepted = out.write([block]);
        written += block.length;
        await world.pass(2);
        assert.ok(written < 64 * 1024 * 1024, "no bound");
      }
      assert.ok(out.queuedBytes > QUEUE_BYTES_HIGH);
      assert.ok(out.queuedBytes <= QUEUE_BYTES_HIGH + block.length);
      await world.pass(50);
      assert.equal(near.writables, 0);
      const sent = out.sentBytes;
      back.resume();
      await world.until(() => near.writables === 1, "writable");
      await world.until(() => far.bytes === written, "all bytes");
      assert.ok(out.sentBytes > sent);
      assert.equal(out.write([bytes("more")]), true, "there is room again");
      await world.until(() => far.bytes === written + 4, "what was written after");
      assert.equal(near.writables, 1);
      out.reset();
      listener.close();
    },
  );

  run("an address in use, or not ours, is a problem with a name", async (world) => {
    const { listener } = await serve(world);
    const { farAddress: address, port } = world;
    const second = new Server();
    world.far.listen({ address, port, passwords: new Map() }, second);
    await world.until(() => second.problem !== undefined, "problem");
    assert.equal(second.problem!.code, "EADDRINUSE");
    assert.match(second.problem!.message, new RegExp(`${address} port ${port}`));
    const elsewhere = new Server();
    const foreign = (address.includes(":") ? "2001:db8::1" : "203.0.113.1") as IpAddress;
    world.far.listen({ address: foreign, port, passwords: new Map() }, elsewhere);
    await world.until(() => elsewhere.problem !== undefined, "problem");
    assert.equal(elsewhere.problem!.code, "EADDRNOTAVAIL");
    listener.close();
  });

  run("a source address that is not ours ends the dial", async (world) => {
    const { listener } = await serve(world);
    const end = new End();
    const { farAddress: address, port } = world;
    const localAddress = (address.includes(":") ? "2001:db8::1" : "203.0.113.1") as IpAddress;
    end.connection = world.near.dial({ address, port, localAddress, policy: plainPolicy }, end);
    await world.until(() => end.reason !== undefined, "closed");
    assert.equal(end.reason, "local address not available");
    listener.close();
  });

  run("a closed listener refuses; its connections live on", async (world) => {
    const { far, out, listener } = await pair(world);
    listener.close();
    await world.pass(20);
    const late = dial(world);
    await world.until(() => late.reason !== undefined, "refused");
    out.write([bytes("still")]);
    await world.until(() => far.bytes === 5, "bytes");
    out.reset();
  });

  run(
    "MD5: the same key connects, others hear nothing; keys change while listening",
    async (world) => {
      const keyed = (password: string | undefined) => ({ ...plainPolicy, password });
      const { server, listener } = await serve(world, new Map([[world.nearAddress, "right"]]));
      const good = dial(world, keyed("right"));
      await world.until(() => good.log.includes("connected"), "connected");
      good.connection!.write([bytes("signed")]);
      await world.until(() => server.ends[0]?.bytes === 6, "bytes");
      const bad = [dial(world, keyed("wrong")), dial(world)];
      await world.pass(300);
      assert.deepEqual(
        bad.map((end) => end.log),
        [[], []],
      );
      for (const end of bad) end.connection!.reset();
      assert.equal(listener.setPasswords(new Map([[world.nearAddress, "new"]])), undefined);
      const renewed = dial(world, keyed("new"));
      await world.until(() => renewed.log.includes("connected"), "connected");
      assert.equal(listener.setPasswords(new Map()), undefined);
      const plain = dial(world);
      await world.until(() => plain.log.includes("connected"), "connected");
      for (const end of [good, renewed, plain]) end.connection!.reset();
      listener.close();
    },
  );

  run("defer runs later, in order", async (world) => {
    const order: number[] = [];
    world.near.defer(() => order.push(1));
    world.near.defer(() => order.push(2));
    order.push(0);
    await world.until(() => order.length === 3, "deferred");
    assert.deepEqual(order, [0, 1, 2]);
  });
}
