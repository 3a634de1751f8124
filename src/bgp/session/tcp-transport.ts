/**
 * The TCP adapter. A dial that needs nothing special is Node's; one with a key, a TTL or an
 * interface gets its socket from netlink-ts with everything set before the SYN. Listeners are
 * always made so, one for each address, IPv4 and IPv6 apart: MD5 keys are in place before the
 * first SYN and can be changed while it stands.
 */
import { connect, createServer, type Server, Socket, type SocketConstructorOpts } from "node:net";
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
  #passwords: ReadonlyMap<IpAddress, string>;
  /** Peers whose key the kernel did not take: without it anyone could speak for them. */
  readonly #unprotected = new Set<IpAddress>();
  #closed = false;

  constructor(options: ListenOptions, handler: ListenHandler) {
    this.#options = options;
    this.#handler = handler;
    this.#passwords = options.passwords;
    this.#server = createServer();
    this.#server.on("error", (error) => this.#fail(error));
    this.#server.on("listening", () => {
      if (!this.#closed) handler.listening();
    });
    try {
      this.#fd = openListenSocket(options);
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
    const problems: string[] = [];
    const family = familyOf(this.#options.address);
    for (const peer of new Set([...before.keys(), ...passwords.keys()])) {
      if (familyOf(peer) !== family || before.get(peer) === passwords.get(peer)) continue;
      try {
        setListenerKey(this.#fd, peer, passwords.get(peer));
        this.#unprotected.delete(peer);
      } catch (error) {
        this.#unprotected.add(peer);
        problems.push(`TCP MD5 key of ${peer}: ${socketReason(error)}`);
      }
    }
    return problems.length === 0 ? undefined : problems.join("; ");
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

function listenReason(code: string): string {
  switch (code) {
    case "EADDRINUSE":
      return "the port is in use, another program listens there (EADDRINUSE)";
    case "EACCES":
      return "not permitted; ports below 1024 need CAP_NET_BIND_SERVICE (EACCES)";
    case "ENOMEM":
      return "no room for so many MD5 keys, raise net.core.optmem_max (ENOMEM)";
    case "EADDRNOTAVAIL":
      return "this machine does not have the address (EADDRNOTAVAIL)";
    default:
      return code;
  }
}
