/**
 * The seam between this package and the operating system: the dozen calls that Node has no API for.
 * One file implements it by FFI (libc.ts); tests put a scripted kernel in its place.
 *
 * Every call returns its result, or minus errno. Nothing here throws, so that an error is a value
 * that the caller must look at, taken in the same tick as the call (a later call would replace it).
 */
export interface Sys {
  /** socket(2). `SOCK_CLOEXEC | SOCK_NONBLOCK` are the caller's to add. */
  socket(domain: number, type: number, protocol: number): number;
  bind(fd: number, address: Uint8Array): number;
  /** getsockname(2) into `address`; returns the length that the kernel filled in. */
  getsockname(fd: number, address: Uint8Array): number;
  /** send(2) on this thread. */
  send(fd: number, bytes: Uint8Array, length: number): number;
  /**
   * send(2) off the event loop. The fd must stay open and `bytes` untouched until it settles.
   * The errno of such a call is out of reach, so a failure is -1 whatever the reason: send again on
   * this thread to learn it (a failed send had no effect).
   */
  sendAsync(fd: number, bytes: Uint8Array, length: number): Promise<number>;
  /** recv(2); with MSG_TRUNC the result may be more than `bytes` holds. */
  receive(fd: number, bytes: Uint8Array, flags: number): number;
  setsockopt(fd: number, level: number, option: number, value: Uint8Array): number;
  /** getsockopt(2) into `value`; returns the length that the kernel filled in. */
  getsockopt(fd: number, level: number, option: number, value: Uint8Array): number;
  /** SO_ATTACH_FILTER with a classic BPF program: what it refuses never comes to the socket. */
  attachFilter(fd: number, program: Uint8Array): number;
  close(fd: number): number;
  /** setns(2) of the calling thread into the network namespace that `fd` stands for. */
  enterNetworkNamespace(fd: number): number;
  /**
   * Calls back from the event loop, with an ordinary callback scope, whenever the fd is readable.
   * Close the watch before the fd.
   */
  watch(fd: number, onReadable: () => void): Watch;
}

/** The calls that TCP sockets need beside those; as {@link Sys}: the result, or minus errno. */
export interface StreamSys extends Sys {
  listen(fd: number, backlog: number): number;
  /** accept4(2), non-blocking and closed on exec; fills in the peer's address. The new fd. */
  accept(fd: number, address: Uint8Array): number;
  connect(fd: number, address: Uint8Array): number;
  /** shutdown(2) of the sending side. */
  endWrites(fd: number): number;
  /** epoll_create1(2), closed on exec. */
  epollCreate(): number;
  /** epoll_ctl(2); `event` is a struct epoll_event. */
  epollControl(epoll: number, operation: number, fd: number, event: Uint8Array): number;
  /** epoll_wait(2) that does not wait: how many of at most `max` events it wrote. */
  epollWait(epoll: number, events: Uint8Array, max: number): number;
}

/** A standing interest in one fd. It keeps the process alive until closed, unless unref'd. */
export interface Watch {
  close(): void;
  ref(): void;
  unref(): void;
}

/** Linux values, the same on every architecture that this package runs on. */
export const AddressFamily = { UNIX: 1, INET: 2, BRIDGE: 7, INET6: 10, NETLINK: 16 } as const;
export const SocketType = {
  STREAM: 1,
  RAW: 3,
  NONBLOCK: 0o4000,
  CLOEXEC: 0o2000000,
} as const;
export const MessageFlag = { TRUNC: 0x20, DONTWAIT: 0x40 } as const;
export const SocketLevel = { IP: 0, SOCKET: 1, TCP: 6, IPV6: 41, NETLINK: 270 } as const;
export const SocketOption = {
  REUSEADDR: 2,
  ERROR: 4,
  SNDBUF: 7,
  RCVBUF: 8,
  LINGER: 13,
  BINDTODEVICE: 25,
  ATTACH_FILTER: 26,
  SNDBUFFORCE: 32,
  RCVBUFFORCE: 33,
} as const;

/** The native-endian int that most socket options take. */
export function intOption(value: number): Buffer {
  // Of Node's pool, see encodeSocketAddress.
  const bytes = Buffer.allocUnsafe(4);
  bytes.writeInt32LE(value);
  return bytes;
}
