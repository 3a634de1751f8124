/** Making a netlink socket: the part that requests and monitors have in common. */
import { check } from "./errors.ts";
import { SEND_BUFFER_BYTES } from "./limits.ts";
import {
  AddressFamily,
  intOption,
  SocketLevel,
  SocketOption,
  SocketType,
  type Sys,
} from "./sys.ts";

/** Protocols of the netlink family (NETLINK_* of linux/netlink.h). */
export const Protocol = { ROUTE: 0, NETFILTER: 12 } as const;

export const NetlinkOption = { ADD_MEMBERSHIP: 1, CAP_ACK: 10, EXT_ACK: 11, STRICT: 12 } as const;

/** sockaddr_nl: u16 family, u16 0, u32 port (0: the kernel picks), u32 groups (joined later). */
const SOCKADDR_BYTES = 12;

export interface OpenNetlink {
  readonly fd: number;
  /** Our address; events carry the port of the socket that caused them. */
  readonly port: number;
  /** As the kernel counts it: twice what was asked. */
  readonly receiveBufferBytes: number;
  readonly sendBufferBytes: number;
}

/**
 * Opens and binds a non-blocking netlink socket. Sizes of buffers are wishes: without CAP_NET_ADMIN
 * the system's `net.core.rmem_max` and `wmem_max` limit them. Throws {@link SystemCallError}.
 */
export function openNetlink(
  sys: Sys,
  protocol: number,
  receiveBufferBytes: number,
  prepare: (fd: number) => void,
): OpenNetlink {
  const type = SocketType.RAW | SocketType.CLOEXEC | SocketType.NONBLOCK;
  const fd = check("socket(AF_NETLINK)", sys.socket(AddressFamily.NETLINK, type, protocol));
  try {
    const { RCVBUF, RCVBUFFORCE, SNDBUF, SNDBUFFORCE } = SocketOption;
    setBuffer(sys, fd, RCVBUFFORCE, RCVBUF, receiveBufferBytes);
    setBuffer(sys, fd, SNDBUFFORCE, SNDBUF, SEND_BUFFER_BYTES);
    const local = Buffer.alloc(SOCKADDR_BYTES);
    local.writeUInt16LE(AddressFamily.NETLINK);
    check("bind(AF_NETLINK)", sys.bind(fd, local));
    check("getsockname(AF_NETLINK)", sys.getsockname(fd, local));
    prepare(fd);
    return {
      fd,
      port: local.readUInt32LE(4),
      receiveBufferBytes: readInt(sys, fd, SocketOption.RCVBUF),
      sendBufferBytes: readInt(sys, fd, SocketOption.SNDBUF),
    };
  } catch (error) {
    sys.close(fd);
    throw error;
  }
}

/** `forced` needs CAP_NET_ADMIN; `plain` goes as far as the system's limit. */
function setBuffer(sys: Sys, fd: number, forced: number, plain: number, bytes: number): void {
  const wish = intOption(bytes);
  if (sys.setsockopt(fd, SocketLevel.SOCKET, forced, wish) < 0) {
    sys.setsockopt(fd, SocketLevel.SOCKET, plain, wish);
  }
}

function readInt(sys: Sys, fd: number, option: number): number {
  const value = Buffer.alloc(4);
  check("getsockopt(SOL_SOCKET)", sys.getsockopt(fd, SocketLevel.SOCKET, option, value));
  return value.readInt32LE(0);
}
