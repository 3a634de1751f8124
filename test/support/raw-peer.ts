/** A peer made of bytes, on any transport: says what a test tells it to, keeps what it hears. */
import { localCapabilities } from "../../src/bgp/message/capabilities.ts";
import { MessageFramer } from "../../src/bgp/message/framer.ts";
import { encodeKeepalive } from "../../src/bgp/message/keepalive.ts";
import { decodeNotification } from "../../src/bgp/message/notification.ts";
import { encodeOpen } from "../../src/bgp/message/open.ts";
import {
  type Capability,
  MessageType,
  type NotificationMessage,
  type OpenMessage,
} from "../../src/bgp/message/types.ts";
import type {
  Connection,
  Listener,
  SocketPolicy,
  Transport,
} from "../../src/bgp/session/transport.ts";
import { type IpAddress, wordOfAddress } from "../../src/ip/address.ts";
import { systemClock } from "../../src/runtime/system-clock.ts";
import { MemoryHost } from "./memory-network.ts";

/** A socket with nothing special about it. */
export const plainPolicy: SocketPolicy = {
  password: undefined,
  ttl: undefined,
  ttlSecurity: false,
  bindInterface: undefined,
};

export interface Heard {
  readonly type: MessageType;
  readonly bytes: Uint8Array;
  readonly at: number;
}

const NAMES = ["?", "OPEN", "UPDATE", "NOTIFICATION", "KEEPALIVE", "ROUTE-REFRESH"] as const;

export class RawPeer {
  readonly host: Transport;
  readonly address: IpAddress;
  readonly port: number;
  readonly #now: () => number;
  connection: Connection | undefined;
  heard: Heard[] = [];
  closed: string | undefined;
  connections = 0;
  /** Set: answers OPEN and KEEPALIVE by itself with this OPEN. */
  autoOpen: OpenMessage | undefined;
  keepalives = false;
  #framer = new MessageFramer(65_535);
  #listener: Listener | undefined;

  constructor(host: Transport, address: IpAddress, port = 179) {
    this.host = host;
    this.address = address;
    this.port = port;
    const clock = host instanceof MemoryHost ? host.network.clock : systemClock;
    this.#now = () => clock.now();
  }

  /** Takes connections. */
  listen(): this {
    this.#listener = this.host.listen(
      { address: this.address, port: this.port, passwords: new Map() },
      {
        listening() {},
        failed(problem) {
          throw new Error(problem.message);
        },
        accepted: (connection) => {
          this.#begin(connection);
          return { handler: this.#handler(connection), policy: plainPolicy };
        },
      },
    );
    return this;
  }

  /** Ends the connection and takes no more. */
  stop(): void {
    this.#listener?.close();
    this.connection?.reset();
  }

  dial(address: IpAddress, port = 179): this {
    const options = { address, port, localAddress: this.address, policy: plainPolicy };
    const handler = {
      connected: () => this.#greet(),
      received: (chunk: Uint8Array) => this.#received(chunk, connection),
      writable() {},
      closed: (reason: string) => {
        if (connection === this.connection) this.closed = reason;
      },
    };
    const connection = this.host.dial(options, handler);
    this.#begin(connection, false);
    return this;
  }

  send(...messages: Uint8Array[]): this {
    this.connection!.write(messages);
    return this;
  }

  /** What was heard, by name: `OPEN KEEPALIVE UPDATE`. */
  get names(): string {
    return this.heard.map(({ type }) => NAMES[type]).join(" ");
  }

  /** `6/2` of the last NOTIFICATION heard. */
  get notification(): string | undefined {
    const message = this.notificationMessage;
    return message === undefined ? undefined : `${message.code}/${message.subcode}`;
  }

  get notificationMessage(): NotificationMessage | undefined {
    const last = this.heard.findLast(({ type }) => type === MessageType.notification);
    return last === undefined ? undefined : decodeNotification(last.bytes, 19, last.bytes.length);
  }

  /** All bytes heard of one type, as hex. */
  hex(type: MessageType): string[] {
    return this.heard
      .filter((message) => message.type === type)
      .map(({ bytes }) => Buffer.from(bytes).toString("hex"));
  }

  forget(): void {
    this.heard = [];
    this.closed = undefined;
  }

  #begin(connection: Connection, greet = true): void {
    this.connection = connection;
    this.connections++;
    this.closed = undefined;
    this.#framer = new MessageFramer(65_535);
    if (greet) this.#greet();
  }

  #greet(): void {
    if (this.autoOpen !== undefined) this.connection!.write([encodeOpen(this.autoOpen)]);
  }

  #handler(connection: Connection) {
    return {
      connected() {},
      received: (chunk: Uint8Array) => this.#received(chunk, connection),
      writable() {},
      closed: (reason: string) => {
        if (connection === this.connection) this.closed = reason;
      },
    };
  }

  #received(chunk: Uint8Array, connection: Connection): void {
    if (connection !== this.connection) return;
    const framer = this.#framer;
    framer.feed(chunk);
    while (framer.next()) {
      const bytes = framer.buffer.slice(framer.start, framer.end);
      this.heard.push({ type: framer.type, bytes, at: this.#now() });
      if (this.autoOpen !== undefined && framer.type === MessageType.open) {
        connection.write([encodeKeepalive()]);
      }
      if (this.keepalives && framer.type === MessageType.keepalive) {
        connection.write([encodeKeepalive()]);
      }
    }
    if (framer.error !== undefined) throw new Error(`heard nonsense: ${framer.error.reason}`);
  }
}

/** An acceptable OPEN of AS 64512 from `address`. */
export function openOf(
  address: IpAddress,
  changes: Partial<OpenMessage> & { readonly capabilities?: readonly Capability[] } = {},
): OpenMessage {
  return {
    version: 4,
    as2: 64512,
    holdSeconds: 90,
    routerId: wordOfAddress(address),
    capabilities: localCapabilities({
      as: 64512,
      hostName: "raw",
      domainName: "",
      families: [4],
      gracefulRestart: undefined,
    }),
    ...changes,
  };
}

/** The graceful restart capability of a raw peer. */
export function restartCapability(
  changes: Partial<Extract<Capability, { kind: "gracefulRestart" }>> = {},
): Capability {
  return {
    kind: "gracefulRestart",
    restarted: false,
    notification: false,
    restartSeconds: 120,
    families: [{ family: 4, forwardingPreserved: true }],
    ...changes,
  };
}

/** Bytes of a hexadecimal text; spaces do not count. */
export function hex(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text.replaceAll(" ", ""), "hex"));
}

/** A message of any type around a body, correct or not. */
export function message(type: number, body: Uint8Array, length = 19 + body.length): Uint8Array {
  const bytes = new Uint8Array(19 + body.length).fill(0xff, 0, 16);
  bytes[16] = length >>> 8;
  bytes[17] = length;
  bytes[18] = type;
  bytes.set(body, 19);
  return bytes;
}

/** An UPDATE of an internal peer that announces IPv4 /24s `10.x.y.0` by number. */
export function announce(nextHop: IpAddress, ...numbers: number[]): Uint8Array {
  const hop = wordOfAddress(nextHop).toString(16).padStart(8, "0");
  const nlri = numbers.map((n) => `180a${n.toString(16).padStart(4, "0")}`).join("");
  return message(
    MessageType.update,
    hex(`0000 0015 40010100 400200 400304${hop} 40050400000064 ${nlri}`),
  );
}

/** The End-of-RIB of IPv4 unicast. */
export const endOfRib = message(MessageType.update, hex("00000000"));
