/**
 * The TCP adapter, on sockets from netlink-ts: everything is set before the SYN. Listeners are one
 * for each address, IPv4 and IPv6 apart: MD5 keys are in place before the first SYN and can be
 * changed while it stands.
 */
import {
  type AcceptedSocket,
  acceptFrom,
  closeSocket,
  closeWithReset,
  connectTo,
  Errno,
  errnoName,
  FdPoller,
  Interest,
  listenOn,
  type NetlinkError,
  type PolledSocket,
  SystemCallError,
} from "netlink-ts";
import { familyOf, type IpAddress, isLinkLocal, parseAddress } from "../../ip/address.ts";
import { Descriptors } from "./descriptors.ts";
import { FailedDial } from "./failed-dial.ts";
import { addressesBeside } from "./link-addresses.ts";
import { socketReason, type TcpCommon, TcpConnection } from "./tcp-connection.ts";
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
  ListenProblem,
  Transport,
} from "./transport.ts";

const NO_DESCRIPTOR = "no file descriptor to spare (EMFILE)";
const NO_LINK = "a link-local address needs its interface, by bindInterface (EINVAL)";
const LINK_LOCAL_ALONE =
  "a link-local address cannot be had without its interface, listen on :: (EINVAL)";
const NO_ROOM_FOR_KEYS = "no room for so many, raise net.core.optmem_max (ENOMEM)";

/** The kernel keeps this many connections that we have not looked at; it cuts to somaxconn. */
const BACKLOG = 4096;

/** How many connections are taken in one turn; the others follow in the next. */
const ACCEPTS_MAX = 128;
/** So many errors in a row, but for ECONNABORTED, are not of connections that are gone. */
const REFUSALS_MAX = 16;
const FORBIDDEN = "not permitted here, as by seccomp, SELinux or AppArmor";
/** When the system is short of fds or memory: who waits is not taken for so long. */
const SHORTAGE_MS = 100;
/** Of them all the next accept may be better off. */
const SHORTAGES: ReadonlySet<number> = new Set([
  Errno.EMFILE,
  Errno.ENFILE,
  Errno.ENOBUFS,
  Errno.ENOMEM,
]);

export interface TcpTransportOptions {
  /**
   * Called before input is handed on that is longer than the start of a session (BULK_BYTES in one
   * read): a table comes.
   */
  readonly onBulk?: () => void;
  readonly descriptors?: Descriptors;
}

/** Transport over the machine's TCP. */
export class TcpTransport implements Transport {
  readonly #common: TcpCommon;
  readonly #descriptors: Descriptors;

  constructor({
    onBulk = () => undefined,
    descriptors = new Descriptors(),
  }: TcpTransportOptions = {}) {
    this.#common = { poller: new FdPoller(), onBulk };
    this.#descriptors = descriptors;
  }

  dial(options: DialOptions, handler: ConnectionHandler): Connection {
    let fd: number | undefined;
    try {
      fd = openDialSocket(options);
      if (!this.#descriptors.allows(fd)) throw new SystemCallError("socket(TCP)", Errno.EMFILE);
      connectTo(fd, options.address, options.port);
      return new TcpConnection(this.#common, fd, options, handler);
    } catch (error) {
      if (fd !== undefined) closeSocket(fd);
      else if (isShortOfDescriptors(error)) this.#descriptors.refused();
      return new FailedDial(options, handler, dialReason(error, options), process.nextTick);
    }
  }

  listen(options: ListenOptions, handler: ListenHandler): Listener {
    return new TcpListener(this.#common, this.#descriptors, options, handler);
  }

  addressesBeside(own: IpAddress): readonly IpAddress[] {
    return addressesBeside(own);
  }

  shortage(): string | undefined {
    return this.#descriptors.shortage();
  }

  defer(callback: () => void): void {
    setImmediate(callback);
  }

  afterInput(callback: () => void): void {
    setImmediate(() => {
      // What came in is told in a turn of its own, which may be behind this one.
      this.#common.poller.look();
      callback();
    });
  }
}

class TcpListener implements Listener, PolledSocket {
  readonly #common: TcpCommon;
  readonly #descriptors: Descriptors;
  readonly #options: ListenOptions;
  readonly #handler: ListenHandler;
  /** Undefined = it does not stand. */
  #fd: number | undefined;
  #passwords: ReadonlyMap<IpAddress, string> = new Map();
  /** Peers whose key the kernel did not take, and why: without it anyone could speak for them. */
  readonly #unprotected = new Map<IpAddress, string>();
  #shortage: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(
    common: TcpCommon,
    descriptors: Descriptors,
    options: ListenOptions,
    handler: ListenHandler,
  ) {
    this.#common = common;
    this.#descriptors = descriptors;
    this.#options = options;
    this.#handler = handler;
    try {
      this.#fd = openListenSocket(options);
      this.setPasswords(options.passwords);
      listenOn(this.#fd, BACKLOG);
      common.poller.add(this.#fd, Interest.READ, this);
      process.nextTick(() => {
        if (this.#fd !== undefined) handler.listening();
      });
    } catch (error) {
      const problem = this.#problemOf(error);
      const fd = this.#fd;
      this.#fd = undefined;
      if (fd !== undefined) closeSocket(fd);
      process.nextTick(() => {
        if (!this.#closed) handler.failed(problem);
      });
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
    clearTimeout(this.#shortage);
    if (this.#fd === undefined) return;
    this.#common.poller.remove(this.#fd);
    closeSocket(this.#fd);
    this.#fd = undefined;
  }

  /** Of {@link PolledSocket}. */
  ready(): void {
    let refused = 0;
    for (let tried = 0; tried < ACCEPTS_MAX && this.#fd !== undefined; tried++) {
      const accepted = acceptFrom(this.#fd);
      if (typeof accepted !== "number") {
        refused = 0;
        this.#accept(accepted);
      } else if (accepted === -Errno.EAGAIN) return;
      else if (SHORTAGES.has(-accepted)) {
        if (accepted === -Errno.EMFILE) this.#descriptors.refused();
        this.#waitForRoom(this.#fd);
        return;
      } else if (accepted === -Errno.EINVAL) {
        // Somebody has shut the listener itself down (`ss -K`).
        this.#ended(this.#problemOf(new SystemCallError("accept", Errno.EINVAL)));
      } else if (accepted !== -Errno.ECONNABORTED && ++refused === REFUSALS_MAX) {
        this.#ended(this.#refusal(-accepted));
      }
      // Of a connection that is gone already, as one that was reset (ECONNABORTED).
    }
  }

  #ended(problem: ListenProblem): void {
    this.close();
    this.#handler.failed(problem);
  }

  /** Else it would be told of who waits in every turn. */
  #waitForRoom(fd: number): void {
    this.#common.poller.change(fd, Interest.NONE);
    this.#shortage = setTimeout(() => this.#common.poller.change(fd, Interest.READ), SHORTAGE_MS);
  }

  #accept({ fd, address: text, port }: AcceptedSocket): void {
    if (!this.#descriptors.allows(fd)) {
      closeWithReset(fd);
      return;
    }
    const address = parseAddress(text)!;
    if (this.#unprotected.has(address)) {
      closeSocket(fd);
      return;
    }
    const connection = this.#connection(fd, address, port);
    if (connection === undefined) return;
    const acceptance = this.#handler.accepted(connection);
    if (acceptance === undefined) {
      connection.reset();
      return;
    }
    connection.begin(acceptance.handler);
    if (!isSpecial(acceptance.policy)) return;
    try {
      applyToSocket(fd, familyOf(address), acceptance.policy);
    } catch (error) {
      connection.fail(socketReason(error));
    }
  }

  /** Undefined when there is no room for it. */
  #connection(fd: number, address: IpAddress, port: number): TcpConnection | undefined {
    try {
      return new TcpConnection(this.#common, fd, { address, port });
    } catch (error) {
      if (!(error instanceof SystemCallError)) throw error;
      closeWithReset(fd);
      return undefined;
    }
  }

  /** By seccomp or an LSM, which leave the connection waiting. */
  #refusal(errno: number): ListenProblem {
    const { address, port } = this.#options;
    const code = errnoName(errno);
    const isForbidden = errno === Errno.EPERM || errno === Errno.EACCES;
    const why = isForbidden ? `${FORBIDDEN} (${code})` : code;
    const message = `cannot take connections on ${address} port ${port}: ${why}`;
    return { code, message, takesNobody: true };
  }

  #problemOf(error: unknown): ListenProblem {
    const { address, port } = this.#options;
    const code = error instanceof Error && "code" in error ? String(error.code) : "UNKNOWN";
    return {
      code,
      message: `cannot listen on ${address} port ${port}: ${listenReason(code, address)}`,
    };
  }
}

function isShortOfDescriptors(error: unknown): boolean {
  return error instanceof SystemCallError && error.errno === Errno.EMFILE;
}

function dialReason(error: unknown, { address, localAddress, policy }: DialOptions): string {
  if (isShortOfDescriptors(error)) return NO_DESCRIPTOR;
  const isInvalid = error instanceof SystemCallError && error.errno === Errno.EINVAL;
  const isOnOneLink = isLinkLocal(address) || (localAddress && isLinkLocal(localAddress));
  if (isInvalid && isOnOneLink && policy.bindInterface === undefined) return NO_LINK;
  return socketReason(error);
}

/** One sentence, however many there are; undefined = none. */
function keyProblem(unprotected: ReadonlyMap<IpAddress, string>): string | undefined {
  const [first] = unprotected;
  if (first === undefined) return undefined;
  const [peer, reason] = first;
  const others = unprotected.size === 1 ? "" : ` and of ${unprotected.size - 1} other peers`;
  return `connections refused for want of the TCP MD5 key of ${peer}${others}: ${reason}`;
}

function keyReason(error: SystemCallError | NetlinkError): string {
  return error.code === "ENOMEM" ? NO_ROOM_FOR_KEYS : socketReason(error);
}

function listenReason(code: string, address: IpAddress): string {
  switch (code) {
    case "EADDRINUSE":
      return "the port is in use, another program listens there (EADDRINUSE)";
    case "EACCES":
      return "not permitted; ports below 1024 need CAP_NET_BIND_SERVICE (EACCES)";
    case "EADDRNOTAVAIL":
      return "this machine does not have the address, or in a VRF only (EADDRNOTAVAIL)";
    case "EINVAL":
      return isLinkLocal(address) ? LINK_LOCAL_ALONE : code;
    default:
      return code;
  }
}
