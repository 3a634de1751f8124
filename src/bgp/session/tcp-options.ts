/** Sockets of a speaker with their options, which Node could not set: through netlink-ts. */
import {
  bindSocket,
  bindToDevice,
  clearTcpMd5Key,
  closeSocket,
  NetlinkError,
  openTcpSocket,
  SystemCallError,
  setIpv6Only,
  setMinimumTtl,
  setNoDelay,
  setReuseAddress,
  setTcpMd5Key,
  setTtl,
} from "netlink-ts";
import { familyOf, type IpAddress, type IpFamily } from "../../ip/address.ts";
import type { DialOptions, ListenOptions, SocketPolicy } from "./transport.ts";

/** RFC 5082 §3: what arrives with less came from further away than the next hop. */
const GTSM_TTL = 255;

/** Whether a socket needs anything beyond what all have. */
export function isSpecial(policy: SocketPolicy): boolean {
  return (
    policy.password !== undefined ||
    policy.ttl !== undefined ||
    policy.ttlSecurity ||
    policy.bindInterface !== undefined
  );
}

/** A socket with what all have, or hand down to those that they accept; its fd. */
function openSocket(family: IpFamily, setUp: (fd: number) => void): number {
  const fd = openTcpSocket(family);
  try {
    setNoDelay(fd);
    setUp(fd);
  } catch (error) {
    closeSocket(fd);
    throw error;
  }
  return fd;
}

/** A socket for dialling, all options set; its fd. Throws what the kernel says, no key. */
export function openDialSocket(options: DialOptions): number {
  const { address, localAddress, policy } = options;
  const family = familyOf(address);
  return openSocket(family, (fd) => {
    if (policy.password !== undefined) setTcpMd5Key(fd, address, policy.password);
    applyToSocket(fd, family, policy);
    if (localAddress !== undefined) bindSocket(fd, localAddress, 0);
  });
}

/** TTL and interface of a socket, an accepted one too: the rest it has from its listener. */
export function applyToSocket(fd: number, family: IpFamily, policy: SocketPolicy): void {
  if (policy.ttlSecurity) {
    setTtl(fd, family, GTSM_TTL);
    setMinimumTtl(fd, family, GTSM_TTL);
  } else if (policy.ttl !== undefined) {
    setTtl(fd, family, policy.ttl);
  }
  if (policy.bindInterface !== undefined) bindToDevice(fd, policy.bindInterface);
}

/**
 * A bound socket to listen on, without keys. It answers with TTL 255, as a peer with TTL security
 * demands of the first segment; accepted sockets get their own TTL.
 */
export function openListenSocket(options: Pick<ListenOptions, "address" | "port">): number {
  const family = familyOf(options.address);
  return openSocket(family, (fd) => {
    setReuseAddress(fd);
    if (family === 6) setIpv6Only(fd);
    setTtl(fd, family, GTSM_TTL);
    bindSocket(fd, options.address, options.port);
  });
}

/**
 * Sets, changes or (undefined) takes away one peer's key on a listener. The kernel's error, or that
 * of a key that is none (EINVAL).
 */
export function setListenerKey(
  fd: number,
  peer: IpAddress,
  key: string | undefined,
): SystemCallError | NetlinkError | undefined {
  try {
    if (key === undefined) clearTcpMd5Key(fd, peer);
    else setTcpMd5Key(fd, peer, key);
  } catch (error) {
    if (!(error instanceof SystemCallError || error instanceof NetlinkError)) throw error;
    // The kernel never took it: there is none to take away.
    if (key !== undefined || error.code !== "ENOENT") return error;
  }
  return undefined;
}
