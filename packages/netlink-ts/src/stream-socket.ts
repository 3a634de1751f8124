/**
 * TCP connections by their fds, for those who watch them with {@link FdPoller}: a speaker with a
 * thousand sessions, whose sockets are to cost what the kernel takes for them. Sockets are made and
 * set up as socket-options.ts says; none of these calls waits.
 */
import { check, Errno } from "./errors.ts";
import { linuxSys } from "./libc.ts";
import {
  decodeSocketAddress,
  encodeSocketAddress,
  SOCKET_ADDRESS_BYTES,
  type SocketAddress,
} from "./socket-address.ts";
import { intOption, SocketLevel, SocketOption, type StreamSys } from "./sys.ts";

const NODELAY = 1;
/** struct linger: on, and no time: what is queued is thrown away, and the peer gets a reset. */
const NO_LINGER = Buffer.concat([intOption(1), intOption(0)]);
const ON = intOption(1);
/**
 * What the kernel writes to, for all calls: none waits, and to make room for each costs more than
 * the call itself, for memory that is handed to C is taken from outside of V8's heap.
 */
const ADDRESS = Buffer.alloc(SOCKET_ADDRESS_BYTES);
const ERROR = Buffer.alloc(4);

/** A connection that a listener took. */
export interface AcceptedSocket extends SocketAddress {
  readonly fd: number;
}

/** Makes a bound socket a listener; the kernel cuts `backlog` to somaxconn. */
export function listenOn(fd: number, backlog: number, sys: StreamSys = linuxSys): void {
  check("listen", sys.listen(fd, backlog));
}

/** The next connection of a listener, or minus errno: EAGAIN when there is none. */
export function acceptFrom(fd: number, sys: StreamSys = linuxSys): AcceptedSocket | number {
  const accepted = sys.accept(fd, ADDRESS);
  if (accepted < 0) return accepted;
  const { address, port } = decodeSocketAddress(ADDRESS);
  return { fd: accepted, address, port };
}

/**
 * Begins to connect: the socket becomes writable when it is decided, and {@link socketError} says
 * how. Throws SystemCallError when that is clear at once, and NetlinkError EINVAL for what is no
 * address or no port.
 */
export function connectTo(
  fd: number,
  address: string,
  port: number,
  sys: StreamSys = linuxSys,
): void {
  const result = sys.connect(fd, encodeSocketAddress(address, port));
  if (result !== -Errno.EINPROGRESS) check("connect", result);
}

/** The errno that is pending on a socket, and takes it away; 0 = none. */
export function socketError(fd: number, sys: StreamSys = linuxSys): number {
  const result = sys.getsockopt(fd, SocketLevel.SOCKET, SocketOption.ERROR, ERROR);
  return result < 0 ? -result : ERROR.readInt32LE(0);
}

/** Our address and port of a connection; undefined when it has none. */
export function localAddressOf(fd: number, sys: StreamSys = linuxSys): SocketAddress | undefined {
  return sys.getsockname(fd, ADDRESS) < 0 ? undefined : decodeSocketAddress(ADDRESS);
}

/** What is sent goes out at once (TCP_NODELAY). Sockets that a listener accepts have it from it. */
export function setNoDelay(fd: number, sys: StreamSys = linuxSys): void {
  check("setsockopt(TCP_NODELAY)", sys.setsockopt(fd, SocketLevel.TCP, NODELAY, ON));
}

/** Closes a connection at once: the peer gets a reset, and what is queued is lost. */
export function closeWithReset(fd: number, sys: StreamSys = linuxSys): void {
  sys.setsockopt(fd, SocketLevel.SOCKET, SocketOption.LINGER, NO_LINGER);
  sys.close(fd);
}
