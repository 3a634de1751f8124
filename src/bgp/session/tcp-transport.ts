/**
 * The TCP adapter. A dial that needs nothing special is Node's; one with a key, a TTL or an
 * interface gets its socket from netlink-ts with everything set before the SYN. Listeners are
 * always made so, one for each address, IPv4 and IPv6 apart: MD5 keys are in place before the
 * first SYN and can be changed while it stands.
 */
import { connect, createServer, type Server, Socket, type SocketConstructorOpts } from "node:net";
import type { SystemCallError } from "netlink-ts";
import { familyOf, type IpAddress, parseAddress } from "../../ip/address.ts";
import { addressesBeside } from "./link-addresses.ts";
import { SocketReader, socketFd, socketReason, TcpConnection } from "./tcp-connection.ts";
import {
  applyToSocket,
  isSpecial,
  openDialSocket,
  openListenSocket,
  setListenerKey,
} from "./tcp-options.ts";
import type {
  Connection,
  ConnectionHandler,
  DialOptions,
  Listener,
  ListenHandler,
  ListenOptions,
  Transport,
} from "./transport.ts";

const NO_ROOM_FOR_KEYS = "no room for so many, raise net.core.optmem_max (ENOMEM)";

/** The kernel keeps this many connections that we have not looked at; it cuts to somaxconn. */
const BACKLOG = 4096;

/** Transport over the machine's TCP. */
export class TcpTransport implements Transport {
  dial(options: DialOptions, handler: ConnectionHandler): Connection {
    const reader = new SocketReader();
    const socket = openSocket(options, reader);
    const connection = new TcpConnection(socket, reader, options.address, options.port);
    connection.begin(handler);
    return connection;
  }

  listen(options: ListenOptions, handler: ListenHandler): Listener {
    return new TcpListener(options, handler);
  }

  addressesBeside(own: IpAddress): readonly IpAddress[] {
    return addressesBeside(own);
  }

  defer(callback: () => void): void {
    setImmediate(callback);
  }
}

function openSocket(options: DialOptions, onread: SocketReader): Socket {
  const { address, port, localAddress, policy } = options;
  const target = {
    host: address,
    port,
    ...(localAddress === undefined ? {} : { localAddress }),
    autoSelectFamily: false,
  };
  if (!isSpecial(policy)) return connect({ ...target, onread });
  let fd: number;
  try {
    fd = openDialSocket(address, policy);
  } catch (error) {
    // Told through `closed`, as every other failure to connect.
    const failed = new Socket();
    failed.destroy(error instanceof Error ? error : new Error("socket failed"));
    return failed;
  }
  return new Socket({ fd, readable: true, writable: true, onread }).connect(target);
}

class TcpListener implements Listener {
  readonly #options: ListenOptions;
  readonly #handler: ListenHandler;
  readonly #server: Server;
  #fd: number | undefined;
  #passwords: ReadonlyMap<IpAddress, string> = new Map();
  /** Peers whose key the kernel did not take, and why: without it anyone could speak for them. */
  readonly #unprotected = new Map<IpAddress, string>();
  #closed = false;

  constructor(options: ListenOptions, handler: ListenHandler) {
    this.#options = options;
    this.#handler = handler;
    this.#server = createServer();
    this.#server.on("error", (error) => this.#fail(error));
    this.#server.on("listening", () => {
      if (!this.#closed) handler.listening();
    });
    try {
      this.#fd = openListenSocket(options);
      this.setPasswords(options.passwords);
      // Beside the fd, not with it: there Node takes no notice of it and asks for 511.
      this.#server.listen({ fd: this.#fd }, BACKLOG);
      onConnection(this.#server, (socket, reader) => this.#accept(socket, reader));
    } catch (error) {
      process.nextTick(() => this.#fail(error));
    }
  }

  setPasswords(passwords: ReadonlyMap<IpAddress, string>): string | undefined {
    const before = this.#passwords;
    this.#passwords = passwords;
    if (this.#fd === undefined) return undefined;
    const family = familyOf(this.#options.address);
    const known = new Set([...before.keys(), ...this.#unprotected.keys()]);
    // What is taken away makes room for what is set.
    const gone = [...known].filter((peer) => !passwords.has(peer));
    for (const peer of [...gone, ...passwords.keys()]) {
      const key = passwords.get(peer);
      const stands = before.get(peer) === key && !this.#unprotected.has(peer);
      if (familyOf(peer) !== family || stands) continue;
      const error = setListenerKey(this.#fd, peer, key);
      if (error === undefined) this.#unprotected.delete(peer);
      else this.#unprotected.set(peer, keyReason(error));
    }
    return keyProblem(this.#unprotected);
  }

  close(): void {
    this.#closed = true;
    this.#fd = undefined;
    this.#server.close();
  }

  #accept(socket: Socket, reader: SocketReader): void {
    const address = parseAddress((socket.remoteAddress ?? "").split("%", 1)[0]!);
    if (this.#closed || address === undefined || this.#unprotected.has(address)) {
      socket.on("error", () => undefined);
      socket.destroy();
      return;
    }
    const connection = new TcpConnection(socket, reader, address, socket.remotePort ?? 0);
    const acceptance = this.#handler.accepted(connection);
    if (acceptance === undefined) {
      connection.reset();
      return;
    }
    connection.begin(acceptance.handler);
    const fd = socketFd(socket);
    if (!isSpecial(acceptance.policy) || fd === undefined) return;
    try {
      applyToSocket(fd, familyOf(address), acceptance.policy);
    } catch (error) {
      socket.destroy(error instanceof Error ? error : new Error("socket option failed"));
    }
  }

  #fail(error: unknown): void {
    if (this.#closed) return;
    const { address, port } = this.#options;
    const code = error instanceof Error && "code" in error ? String(error.code) : "UNKNOWN";
    // Too many open files and the like stop one accept, not the listener.
    if (this.#server.listening) return;
    this.#closed = true;
    this.#fd = undefined;
    const message = `cannot listen on ${address} port ${port}: ${listenReason(code)}`;
    this.#handler.failed({ code, message });
  }
}

/** Node's handle of a listener, as far as it is needed here; it has no public name. */
interface ListenHandle {
  /** `status` is 0, or an error and there is no connection. */
  onconnection: (status: number, connection: object | undefined) => void;
}

/**
 * Calls `accept` with each connection of a server that listens. `net.Server` gives sockets no
 * reader, so they are made here, of the handle that it would make them of.
 */
function onConnection(
  server: Server,
  accept: (socket: Socket, reader: SocketReader) => void,
): void {
  const handle = (server as unknown as { readonly _handle: ListenHandle })._handle;
  const { onconnection } = handle;
  handle.onconnection = (status, connection) => {
    if (connection === undefined) {
      onconnection.call(handle, status, connection);
      return;
    }
    const reader = new SocketReader();
    const options = { handle: connection, onread: reader, readable: true, writable: true };
    accept(new Socket(options as SocketConstructorOpts), reader);
  };
}

/** One sentence, however many there are; undefined = none. */
function keyProblem(unprotected: ReadonlyMap<IpAddress, string>): string | undefined {
  const [first] = unprotected;
  if (first === undefined) return undefined;
  const [peer, reason] = first;
  const others = unprotected.size === 1 ? "" : ` and of ${unprotected.size - 1} other peers`;
  return `connections refused for want of the TCP MD5 key of ${peer}${others}: ${reason}`;
}

function keyReason(error: SystemCallError): string {
  return error.code === "ENOMEM" ? NO_ROOM_FOR_KEYS : socketReason(error);
}

function listenReason(code: string): string {
  switch (code) {
    case "EADDRINUSE":
      return "the port is in use, another program listens there (EADDRINUSE)";
    case "EACCES":
      return "not permitted; ports below 1024 need CAP_NET_BIND_SERVICE (EACCES)";
    case "EADDRNOTAVAIL":
      return "this machine does not have the address (EADDRNOTAVAIL)";
    default:
      return code;
  }
}
