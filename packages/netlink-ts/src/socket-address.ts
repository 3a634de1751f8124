/**
 * sockaddr_in and sockaddr_in6:
 *
 *   | u16 family | be16 port | address (4) | zeros (8) |
 *   | u16 family | be16 port | u32 flow 0 | address (16) | u32 scope |
 */
import { addressBytes, addressFamily, addressFamilyOf, addressText } from "./address.ts";
import { invalid, MalformedMessageError } from "./errors.ts";
import { AddressFamily } from "./sys.ts";

const IPV4_BYTES = 16;
/** Room for either. */
export const SOCKET_ADDRESS_BYTES = 28;

/** An address as text, and a TCP port. */
export interface SocketAddress {
  readonly address: string;
  readonly port: number;
}

/**
 * `scopeId` is the interface of an IPv6 link-local address. Throws `EINVAL` for what is no address,
 * or no port.
 */
export function encodeSocketAddress(address: string, port: number, scopeId = 0): Buffer {
  if (!Number.isInteger(port) || port < 0 || port > 0xffff) throw invalid(`not a port: ${port}`);
  const bytes = addressBytes(address);
  const family = addressFamilyOf(address);
  // Of Node's pool, which is outside of V8's heap already, as what is handed to C has to be.
  const result = Buffer.allocUnsafe(family === 4 ? IPV4_BYTES : SOCKET_ADDRESS_BYTES).fill(0);
  result.writeUInt16LE(addressFamily(family));
  result.writeUInt16BE(port, 2);
  result.set(bytes, family === 4 ? 4 : 8);
  if (family === 6) result.writeUInt32LE(scopeId, 24);
  return result;
}

/** Of {@link SOCKET_ADDRESS_BYTES} that the kernel filled in. */
export function decodeSocketAddress(bytes: Buffer): SocketAddress {
  const family = bytes.readUInt16LE(0);
  const port = bytes.readUInt16BE(2);
  if (family === AddressFamily.INET) return { address: addressText(bytes, 4, 8), port };
  if (family === AddressFamily.INET6) return { address: addressText(bytes, 8, 24), port };
  throw new MalformedMessageError(`a socket address of family ${family}`);
}
