/**
 * TCP sockets as a BGP speaker needs them, with options that Node cannot set: MD5 signatures
 * (RFC 2385), TTL security (RFC 5082), binding to an interface, traffic class.
 *
 * The order that leaves no gap: open, set everything, bind, then hand the fd to Node in the same
 * tick: `new net.Server().listen({ fd })`, or `new net.Socket({ fd, readable: true, writable: true
 * }).connect({ host, port })` with an IP literal. Accepted sockets inherit key, TTL and class. Give
 * a family its own listener: an IPv6 one takes IPv4 keys only as `::ffff:192.0.2.1`.
 *
 * Every function throws SystemCallError when the kernel refuses, and NetlinkError EINVAL for a
 * value that has no wire form. No error carries a key.
 */
import { addressFamily, type IpFamily, parsePrefix } from "./address.ts";
import { check, invalid } from "./errors.ts";
import { linuxSys } from "./libc.ts";
import { encodeSocketAddress } from "./socket-address.ts";
import {
  AddressFamily,
  intOption,
  SocketLevel,
  SocketOption,
  SocketType,
  type Sys,
} from "./sys.ts";

/** Longest key, in bytes (TCP_MD5SIG_MAXKEYLEN). */
export const MD5_KEY_BYTES_MAX = 80;

const IpOption = { TOS: 1, TTL: 2, MINTTL: 21 } as const;
const Ipv6Option = { UNICAST_HOPS: 16, V6ONLY: 26, TCLASS: 67, MINHOPCOUNT: 73 } as const;
const TcpOption = { MD5SIG: 14, MD5SIG_EXT: 32 } as const;
const MD5_FLAG_PREFIX = 1;
/** tcp_md5sig: sockaddr_storage 128, u8 flags, u8 prefix, u16 key length, u32 ifindex, key 80. */
const MD5SIG_BYTES = 216;
const MD5SIG_KEY_OFFSET = 136;
/** IFNAMSIZ, NUL included. */
const INTERFACE_NAME_BYTES = 16;

/** A non-blocking TCP socket, closed on exec; its fd. The caller closes it, or hands it to Node. */
export function openTcpSocket(family: IpFamily, sys: Sys = linuxSys): number {
  const type = SocketType.STREAM | SocketType.NONBLOCK | SocketType.CLOEXEC;
  return check("socket(TCP)", sys.socket(addressFamily(family), type, 0));
}

/** For an fd that was never handed to Node. */
export function closeSocket(fd: number, sys: Sys = linuxSys): void {
  check("close", sys.close(fd));
}

/** Binds to an address and port; `scopeId` is the interface of an IPv6 link-local address. */
export function bindSocket(
  fd: number,
  address: string,
  port: number,
  scopeId = 0,
  sys: Sys = linuxSys,
): void {
  check(`bind(${address}, ${port})`, sys.bind(fd, encodeSocketAddress(address, port, scopeId)));
}

/**
 * Signs segments to and from `peer` (an address, or a prefix such as `192.0.2.0/24`) with `key`;
 * those without the right signature are dropped. On a listener there is one key a peer.
 */
export function setTcpMd5Key(
  fd: number,
  peer: string,
  key: string | Uint8Array,
  sys: Sys = linuxSys,
): void {
  const bytes = typeof key === "string" ? Buffer.from(key) : key;
  if (bytes.length < 1 || bytes.length > MD5_KEY_BYTES_MAX) {
    throw invalid(`an MD5 key has 1 to ${MD5_KEY_BYTES_MAX} bytes, not ${bytes.length}`);
  }
  md5Option(fd, peer, bytes, sys);
}

/** Ends the signing for `peer`; ENOENT when it had no key. */
export function clearTcpMd5Key(fd: number, peer: string, sys: Sys = linuxSys): void {
  md5Option(fd, peer, new Uint8Array(0), sys);
}

/** TTL or hop limit of what is sent, 1 to 255. */
export function setTtl(fd: number, family: IpFamily, ttl: number, sys: Sys = linuxSys): void {
  byteRange("TTL", ttl, 1);
  ipOption(fd, family, IpOption.TTL, Ipv6Option.UNICAST_HOPS, ttl, sys);
}

/** Drops what arrives with a lower TTL or hop limit (RFC 5082); 0 takes everything. */
export function setMinimumTtl(
  fd: number,
  family: IpFamily,
  ttl: number,
  sys: Sys = linuxSys,
): void {
  byteRange("minimum TTL", ttl, 0);
  ipOption(fd, family, IpOption.MINTTL, Ipv6Option.MINHOPCOUNT, ttl, sys);
}

/** The TOS or traffic class byte of what is sent: 0xc0 is network control. */
export function setTrafficClass(
  fd: number,
  family: IpFamily,
  value: number,
  sys: Sys = linuxSys,
): void {
  byteRange("traffic class", value, 0);
  ipOption(fd, family, IpOption.TOS, Ipv6Option.TCLASS, value, sys);
}

/** Sends and receives through this interface only. */
export function bindToDevice(fd: number, interfaceName: string, sys: Sys = linuxSys): void {
  const name = Buffer.from(`${interfaceName}\0`);
  if (interfaceName === "" || name.length > INTERFACE_NAME_BYTES) {
    throw invalid(`not an interface name: ${JSON.stringify(interfaceName.slice(0, 80))}`);
  }
  const result = sys.setsockopt(fd, SocketLevel.SOCKET, SocketOption.BINDTODEVICE, name);
  check(`setsockopt(SO_BINDTODEVICE, ${interfaceName})`, result);
}

/** Lets a listener bind although connections of an earlier one are still ending. */
export function setReuseAddress(fd: number, sys: Sys = linuxSys): void {
  const on = intOption(1);
  const result = sys.setsockopt(fd, SocketLevel.SOCKET, SocketOption.REUSEADDR, on);
  check("setsockopt(SO_REUSEADDR)", result);
}

/** Keeps an IPv6 listener from taking IPv4 connections. */
export function setIpv6Only(fd: number, sys: Sys = linuxSys): void {
  const result = sys.setsockopt(fd, SocketLevel.IPV6, Ipv6Option.V6ONLY, intOption(1));
  check("setsockopt(IPV6_V6ONLY)", result);
}

function ipOption(
  fd: number,
  family: IpFamily,
  ipv4: number,
  ipv6: number,
  value: number,
  sys: Sys,
): void {
  const isIpv4 = addressFamily(family) === AddressFamily.INET;
  const level = isIpv4 ? SocketLevel.IP : SocketLevel.IPV6;
  const option = isIpv4 ? ipv4 : ipv6;
  const result = sys.setsockopt(fd, level, option, intOption(value));
  check(`setsockopt(IPv${family} option ${option})`, result);
}

function md5Option(fd: number, peer: string, key: Uint8Array, sys: Sys): void {
  const signature = encodeMd5Signature(peer, key);
  const option = peer.includes("/") ? TcpOption.MD5SIG_EXT : TcpOption.MD5SIG;
  check(`setsockopt(TCP_MD5SIG, ${peer})`, sys.setsockopt(fd, SocketLevel.TCP, option, signature));
}

/** The `tcp_md5sig` for a peer; a key of no bytes removes the peer's key. */
function encodeMd5Signature(peer: string, key: Uint8Array): Buffer {
  const slash = peer.indexOf("/");
  const signature = Buffer.alloc(MD5SIG_BYTES);
  signature.set(encodeSocketAddress(slash < 0 ? peer : peer.slice(0, slash), 0));
  if (slash >= 0) {
    signature[128] = MD5_FLAG_PREFIX;
    signature[129] = parsePrefix(peer).length;
  }
  signature.writeUInt16LE(key.length, 130);
  signature.set(key, MD5SIG_KEY_OFFSET);
  return signature;
}

function byteRange(what: string, value: number, min: number): void {
  if (!Number.isInteger(value) || value < min || value > 255) {
    throw invalid(`not a ${what} from ${min} to 255: ${value}`);
  }
}
