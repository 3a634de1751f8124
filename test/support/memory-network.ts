/**
 * A network in memory, on a fake clock: hosts with addresses, connections with latency, windows
 * that fill when nobody reads, links that can be cut and hosts that can vanish. The second adapter
 * of the transport port; the contract suite holds it to what TCP does.
 */
import { CLOSED_BY_PEER } from "../../src/bgp/fsm/state.ts";
import {
  type Connection,
  type ConnectionHandler,
  type DialOptions,
  LINGER_MS,
  type Listener,
  type ListenHandler,
  type ListenOptions,
  QUEUE_BYTES_HIGH,
  QUEUE_BYTES_LOW,
  type Transport,
} from "../../src/bgp/session/transport.ts";
import { familyOf, type IpAddress } from "../../src/ip/address.ts";
import type { Clock } from "../../src/runtime/clock.ts";

export interface MemoryNetworkOptions {
  /** One way. */
  readonly latencyMs?: number;
  /** Bytes that a receiver takes before its application reads. */
  readonly windowBytes?: number;
  /** Cuts what is sent into chunks of at most this size; 0 = as written. */
  readonly chunkBytes?: number;
}

interface ListenEntry {
  readonly host: MemoryHost;
  readonly handler: ListenHandler;
  passwords: ReadonlyMap<IpAddress, string>;
}

/** Everything that one side sent, for tests that look at bytes. */
export interface Capture {
  readonly from: IpAddress;
  readonly to: IpAddress;
  readonly bytes: Uint8Array;
}

export class MemoryNetwork {
  readonly clock: Clock;
  readonly latencyMs: number;
  readonly windowBytes: number;
  readonly chunkBytes: number;
  readonly listeners = new Map<string, ListenEntry>();
  readonly hosts = new Map<IpAddress, MemoryHost>();
  /** Set to see every delivered chunk. */
  capture: ((chunk: Capture) => void) | undefined;
  /** Connections that were asked for. */
  dials = 0;
  readonly #cut = new Set<string>();
  readonly #held: (() => void)[] = [];
  #port = 40_000;

  constructor(clock: Clock, options: MemoryNetworkOptions = {}) {
    this.clock = clock;
    this.latencyMs = options.latencyMs ?? 1;
    this.windowBytes = options.windowBytes ?? 64 * 1024;
    this.chunkBytes = options.chunkBytes ?? 0;
  }

  /** A machine with these addresses. One of an address that there was before takes its place. */
  host(...addresses: readonly IpAddress[]): MemoryHost {
    const host = new MemoryHost(this, addresses);
    for (const address of addresses) this.hosts.set(address, host);
    return host;
  }

  /** From now on nothing passes between two addresses; it waits until `heal`. */
  cut(a: IpAddress, b: IpAddress): void {
    this.#cut.add(`${a} ${b}`).add(`${b} ${a}`);
  }

  heal(a: IpAddress, b: IpAddress): void {
    this.#cut.delete(`${a} ${b}`);
    this.#cut.delete(`${b} ${a}`);
    // At once: what is on its way now was sent later, and must not overtake.
    for (const arrive of this.#held.splice(0)) arrive();
  }

  /** Runs `deliver` at the other end after the latency, or after `heal`. */
  send(from: IpAddress, to: IpAddress, deliver: () => void): void {
    const arrive = () => {
      if (this.#cut.has(`${from} ${to}`)) this.#held.push(arrive);
      else deliver();
    };
    this.clock.after(this.latencyMs, arrive);
  }

  nextPort(): number {
    return this.#port++;
  }
}

export class MemoryHost implements Transport {
  readonly network: MemoryNetwork;
  readonly addresses: readonly IpAddress[];
  /** False: lost its power; it answers nothing, and its connections know nothing of it. */
  alive = true;
  readonly afterInput = (callback: () => void): void => this.defer(callback);

  constructor(network: MemoryNetwork, addresses: readonly IpAddress[]) {
    this.network = network;
    this.addresses = addresses;
  }

  /** Power loss: no FIN, no reset. A new `host` on the address answers old segments with resets. */
  vanish(): void {
    this.alive = false;
    for (const [key, entry] of this.network.listeners) {
      if (entry.host === this) this.network.listeners.delete(key);
    }
  }

  dial(options: DialOptions, handler: ConnectionHandler): Connection {
    const { network } = this;
    network.dials++;
    const family = familyOf(options.address);
    const local =
      options.localAddress ?? this.addresses.find((address) => familyOf(address) === family);
    const near = new MemoryConnection(this, handler, local, options.address, options.port);
    if (local === undefined || !this.addresses.includes(local)) {
      network.clock.after(0, () => near.fail("local address not available"));
      return near;
    }
    network.send(local, options.address, () => this.#arrive(near, options, local));
    return near;
  }

  /** The SYN at the other end. */
  #arrive(near: MemoryConnection, options: DialOptions, local: IpAddress): void {
    const { network } = this;
    if (near.ended || !this.alive) return;
    const there = network.hosts.get(options.address);
    if (there === undefined || !there.alive) return;
    const entry = network.listeners.get(listenKey(options.address, options.port));
    const key = entry?.passwords.get(local);
    if (key !== options.policy.password && (entry !== undefined || key !== undefined)) return;
    const answer = (deliver: () => void) => network.send(options.address, local, deliver);
    if (entry === undefined) {
      answer(() => near.fail("connection refused"));
      return;
    }
    const far = new MemoryConnection(there, undefined, options.address, local, network.nextPort());
    near.pair(far);
    answer(() => near.connect());
    network.send(local, options.address, () => {
      if (far.ended || !there.alive) return;
      const acceptance = entry.handler.accepted(far);
      if (acceptance === undefined) far.reset();
      else far.begin(acceptance.handler);
    });
  }

  listen(options: ListenOptions, handler: ListenHandler): Listener {
    const { network } = this;
    const key = listenKey(options.address, options.port);
    let open = true;
    const fail = (code: string) =>
      network.clock.after(0, () => {
        if (!open) return;
        open = false;
        const where = `${options.address} port ${options.port}`;
        handler.failed({ code, message: `cannot listen on ${where} (${code})` });
      });
    const entry: ListenEntry = { host: this, handler, passwords: options.passwords };
    if (!this.addresses.includes(options.address)) fail("EADDRNOTAVAIL");
    else if (network.listeners.has(key)) fail("EADDRINUSE");
    else {
      network.listeners.set(key, entry);
      network.clock.after(0, () => {
        if (open) handler.listening();
      });
    }
    return {
      setPasswords(passwords) {
        entry.passwords = passwords;
        return undefined;
      },
      close() {
        open = false;
        if (network.listeners.get(key) === entry) network.listeners.delete(key);
      },
    };
  }

  defer(callback: () => void): void {
    this.network.clock.after(0, callback);
  }
}

function listenKey(address: IpAddress, port: number): string {
  return `${address} ${port}`;
}

class MemoryConnection implements Connection {
  readonly remoteAddress: IpAddress;
  readonly remotePort: number;
  queuedBytes = 0;
  sentBytes = 0;
  ended = false;
  readonly #host: MemoryHost;
  readonly #local: IpAddress | undefined;
  #handler: ConnectionHandler | undefined;
  #far: MemoryConnection | undefined;
  #connected = false;
  #closing = false;
  #full = false;
  #paused = false;
  #output: Uint8Array[] = [];
  /** Bytes under way to the other end, or there and not read. */
  #unread = 0;
  #input: Uint8Array[] = [];
  #inputEnd: string | undefined;

  constructor(
    host: MemoryHost,
    handler: ConnectionHandler | undefined,
    local: IpAddress | undefined,
    remote: IpAddress,
    remotePort: number,
  ) {
    this.#host = host;
    this.#handler = handler;
    this.#local = local;
    this.remoteAddress = remote;
    this.remotePort = remotePort;
  }

  get localAddress(): IpAddress | undefined {
    return this.#connected ? this.#local : undefined;
  }

  pair(far: MemoryConnection): void {
    this.#far = far;
    far.#far = this;
    far.#connected = true;
  }

  connect(): void {
    if (this.ended || !this.#host.alive) return;
    this.#connected = true;
    this.#handler?.connected();
    this.#pump();
    this.#read();
  }

  begin(handler: ConnectionHandler): void {
    if (this.ended || this.#closing) return;
    this.#handler = handler;
    this.#read();
  }

  write(buffers: readonly Uint8Array[]): boolean {
    if (this.ended || this.#closing) return true;
    for (const buffer of buffers) {
      if (buffer.length === 0) continue;
      this.#output.push(buffer);
      this.queuedBytes += buffer.length;
    }
    this.#pump();
    if (this.queuedBytes > QUEUE_BYTES_HIGH) this.#full = true;
    return !this.#full;
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#host.network.clock.after(0, () => this.#read());
  }

  close(): void {
    if (this.ended || this.#closing) return;
    this.#handler = undefined;
    if (!this.#connected) {
      this.#tell((far) => far.receiveEnd("connection reset by peer"));
      this.ended = true;
      return;
    }
    this.#closing = true;
    this.#paused = false;
    this.#read();
    this.#pump();
    this.#host.network.clock.after(LINGER_MS, () => this.reset());
  }

  reset(): void {
    if (this.ended) return;
    this.ended = true;
    this.#handler = undefined;
    this.#drop();
    this.#tell((far) => far.receiveReset());
  }

  /** Fails a dial. */
  fail(reason: string): void {
    if (this.ended || !this.#host.alive) return;
    this.ended = true;
    const handler = this.#handler;
    this.#handler = undefined;
    handler?.closed(reason);
  }

  #tell(deliver: (far: MemoryConnection) => void): void {
    const far = this.#far;
    if (far === undefined || this.#local === undefined || !this.#host.alive) return;
    this.#host.network.send(this.#local, this.remoteAddress, () => deliver(far));
  }

  /** Sends while the other end's window is open. */
  #pump(): void {
    const far = this.#far;
    if (!this.#connected || far === undefined || this.ended || !this.#host.alive) return;
    const { windowBytes, chunkBytes } = this.#host.network;
    while (this.#output.length > 0 && this.#unread < windowBytes) {
      const head = this.#output[0]!;
      const room = Math.min(windowBytes - this.#unread, chunkBytes || head.length);
      const piece = head.subarray(0, room);
      if (piece.length === head.length) this.#output.shift();
      else this.#output[0] = head.subarray(room);
      this.#unread += piece.length;
      this.queuedBytes -= piece.length;
      this.sentBytes += piece.length;
      this.#tell((end) => end.#receive(piece));
    }
    if (this.#closing && this.#output.length === 0) {
      this.ended = true;
      this.#tell((end) => end.receiveEnd(CLOSED_BY_PEER));
    }
    if (!this.#full || this.queuedBytes > QUEUE_BYTES_LOW) return;
    this.#full = false;
    this.#host.network.clock.after(0, () => this.#handler?.writable());
  }

  #receive(piece: Uint8Array): void {
    if (!this.#answers()) return;
    this.#input.push(piece);
    this.#host.network.capture?.({
      from: this.remoteAddress,
      to: this.#local!,
      bytes: piece,
    });
    this.#read();
  }

  /** Whether the machine and the connection are still there; a reborn machine resets. */
  #answers(): boolean {
    const reborn = this.#host.network.hosts.get(this.#local!) !== this.#host;
    if (!this.#host.alive && !reborn) return false;
    if (this.ended || !this.#host.alive) {
      const far = this.#far!;
      this.#host.network.send(this.#local!, this.remoteAddress, () => far.receiveReset());
      return false;
    }
    return true;
  }

  receiveEnd(reason: string): void {
    if (this.ended || !this.#host.alive) return;
    this.#inputEnd = reason;
    this.#read();
  }

  receiveReset(): void {
    if (this.ended || !this.#host.alive) return;
    this.#drop();
    this.fail("connection reset by peer");
  }

  #drop(): void {
    this.#output = [];
    this.queuedBytes = 0;
    this.#input = [];
  }

  #read(): void {
    while (!this.#paused && !this.ended && this.#input.length > 0) {
      if (this.#handler === undefined && !this.#closing) return;
      const piece = this.#input.shift()!;
      const far = this.#far!;
      far.#unread -= piece.length;
      const read = new Uint8Array(piece);
      this.#handler?.received(read);
      read.fill(0xa5); // TCP reads into the same memory again: who kept these octets sees it.
      far.#pump();
    }
    if (this.#input.length > 0 || this.#paused || this.ended) return;
    if (this.#inputEnd === undefined || this.#handler === undefined) return;
    this.#drop();
    this.fail(this.#inputEnd);
  }
}
