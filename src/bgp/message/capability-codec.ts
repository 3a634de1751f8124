/**
 * Capabilities on the wire, RFC 5492 §4: `code (1), length (1), value`. One decode/encode pair for
 * each, with the layout of its value drawn above.
 *
 * A known capability with a malformed value: RFC 5492 is silent, RFC 4271 §6.2 asks for error 2/0
 * when a *recognised* optional parameter is malformed. Both sides must agree on families, AS size
 * and path identifiers or every later UPDATE is misread, so for codes 1, 65 and 69 it is 2/0. Any
 * other malformed capability counts as not understood, which RFC 5492 §3 makes harmless: it is kept
 * as `unknown` and nothing is negotiated by it.
 */
import { assertNever } from "../../runtime/assert.ts";
import { type ByteWriter, readU16, readU24, readU32 } from "./bytes.ts";
import { bgpError, OpenSubcode } from "./errors.ts";
import { afiOf, ipFamilyOfAfi, routeFamilyOf, SAFI_UNICAST } from "./family.ts";
import { decodeText, encodeText } from "./text.ts";
import {
  type AddPathMode,
  type BgpError,
  type Capability,
  ErrorCode,
  type LongLivedFamily,
  type RestartFamily,
  type RouteFamily,
} from "./types.ts";

/** IANA capability-codes. */
export const CapabilityCode = {
  multiprotocol: 1,
  routeRefresh: 2,
  extendedNextHop: 5,
  extendedMessage: 6,
  gracefulRestart: 64,
  fourOctetAs: 65,
  addPath: 69,
  enhancedRouteRefresh: 70,
  longLivedGracefulRestart: 71,
  fqdn: 73,
  softwareVersion: 75,
} as const;

/** Longest value: its length is one octet. */
const VALUE_BYTES_MAX = 255;
/** Host and domain name share the value with their two length octets. */
const NAME_BYTES_MAX = 64;
const DOMAIN_BYTES_MAX = VALUE_BYTES_MAX - 2 - NAME_BYTES_MAX;

const RESTARTED = 0x8000;
const NOTIFICATION = 0x4000;
const RESTART_SECONDS_MAX = 0x0fff;
const FORWARDING_PRESERVED = 0x80;

/** Decodes the value at `start` to `end` of capability `code`. */
export function decodeCapability(
  code: number,
  buffer: Uint8Array,
  start: number,
  end: number,
): Capability | BgpError {
  const known = decodeKnown(code, buffer, start, end);
  if (known !== undefined) return known;
  const value = buffer.slice(start, end);
  if (isMalformedEssential(code, value)) {
    const reason = `capability ${code} has a malformed value of ${value.length} octets`;
    const data = Uint8Array.of(code, value.length, ...value);
    return bgpError(ErrorCode.open, OpenSubcode.unspecific, reason, data);
  }
  return { kind: "unknown", code, value };
}

/** Of a value that was not decoded; one of a family that we do not carry is well-formed. */
function isMalformedEssential(code: number, value: Uint8Array): boolean {
  if (code === CapabilityCode.multiprotocol) return value.length !== 4;
  return code === CapabilityCode.fourOctetAs || code === CapabilityCode.addPath;
}

/** Undefined: not one of ours, not a family of ours, or malformed. */
function decodeKnown(
  code: number,
  buffer: Uint8Array,
  start: number,
  end: number,
): Capability | undefined {
  const length = end - start;
  switch (code) {
    case CapabilityCode.multiprotocol:
      return length === 4 ? decodeMultiprotocol(buffer, start) : undefined;
    case CapabilityCode.routeRefresh:
      return length === 0 ? { kind: "routeRefresh" } : undefined;
    case CapabilityCode.enhancedRouteRefresh:
      return length === 0 ? { kind: "enhancedRouteRefresh" } : undefined;
    case CapabilityCode.extendedMessage:
      return length === 0 ? { kind: "extendedMessage" } : undefined;
    case CapabilityCode.fourOctetAs:
      return length === 4 ? { kind: "fourOctetAs", as: readU32(buffer, start) } : undefined;
    case CapabilityCode.extendedNextHop:
      return length % 6 === 0 ? decodeExtendedNextHop(buffer, start, end) : undefined;
    case CapabilityCode.gracefulRestart:
      return length % 4 === 2 ? decodeGracefulRestart(buffer, start, end) : undefined;
    case CapabilityCode.longLivedGracefulRestart:
      return length % 7 === 0 ? decodeLongLived(buffer, start, end) : undefined;
    case CapabilityCode.addPath:
      return length % 4 === 0 ? decodeAddPath(buffer, start, end) : undefined;
    case CapabilityCode.fqdn:
      return decodeFqdn(buffer, start, end);
    case CapabilityCode.softwareVersion:
      return decodeSoftwareVersion(buffer, start, end);
    default:
      return undefined;
  }
}

/** Appends code, length and value. Texts that do not fit are cut between two characters. */
export function encodeCapability(capability: Capability, out: ByteWriter): void {
  switch (capability.kind) {
    case "routeRefresh":
      header(out, CapabilityCode.routeRefresh, 0);
      break;
    case "enhancedRouteRefresh":
      header(out, CapabilityCode.enhancedRouteRefresh, 0);
      break;
    case "extendedMessage":
      header(out, CapabilityCode.extendedMessage, 0);
      break;
    case "multiprotocol":
      encodeMultiprotocol(capability.family, out);
      break;
    case "fourOctetAs":
      header(out, CapabilityCode.fourOctetAs, 4);
      out.u32(capability.as);
      break;
    case "extendedNextHop":
      encodeExtendedNextHop(capability, out);
      break;
    case "gracefulRestart":
      encodeGracefulRestart(capability, out);
      break;
    case "longLivedGracefulRestart":
      encodeLongLived(capability.families, out);
      break;
    case "addPath":
      encodeAddPath(capability, out);
      break;
    case "fqdn":
      encodeFqdn(capability.hostName, capability.domainName, out);
      break;
    case "softwareVersion":
      encodeSoftwareVersion(capability.version, out);
      break;
    case "unknown":
      header(out, capability.code, Math.min(capability.value.length, VALUE_BYTES_MAX));
      out.raw(capability.value.subarray(0, VALUE_BYTES_MAX));
      break;
    default:
      assertNever(capability, "capability");
  }
}

function header(out: ByteWriter, code: number, length: number): void {
  out.u8(code);
  out.u8(length);
}

// RFC 4760 §8:  AFI (2), reserved (1), SAFI (1)

function decodeMultiprotocol(buffer: Uint8Array, start: number): Capability | undefined {
  const family = routeFamilyOf(readU16(buffer, start), buffer[start + 3]!);
  return family === undefined ? undefined : { kind: "multiprotocol", family };
}

function encodeMultiprotocol(family: RouteFamily, out: ByteWriter): void {
  header(out, CapabilityCode.multiprotocol, 4);
  out.u16(afiOf(family));
  out.u8(0);
  out.u8(SAFI_UNICAST);
}

// RFC 8950 §4:  { NLRI AFI (2), NLRI SAFI (2), next hop AFI (2) } …

function decodeExtendedNextHop(buffer: Uint8Array, start: number, end: number): Capability {
  const entries: { family: RouteFamily; nextHopFamily: RouteFamily }[] = [];
  for (let at = start; at < end; at += 6) {
    const family = routeFamilyOf(readU16(buffer, at), readU16(buffer, at + 2));
    const nextHopFamily = ipFamilyOfAfi(readU16(buffer, at + 4));
    if (family !== undefined && nextHopFamily !== undefined) {
      entries.push({ family, nextHopFamily });
    }
  }
  return { kind: "extendedNextHop", entries };
}

function encodeExtendedNextHop(
  capability: Extract<Capability, { kind: "extendedNextHop" }>,
  out: ByteWriter,
): void {
  header(out, CapabilityCode.extendedNextHop, capability.entries.length * 6);
  for (const entry of capability.entries) {
    out.u16(afiOf(entry.family));
    out.u16(SAFI_UNICAST);
    out.u16(afiOf(entry.nextHopFamily));
  }
}

// RFC 4724 §3, RFC 8538 §2:  R(1 bit) N(1) reserved(2) seconds(12), { AFI (2), SAFI (1), F… (1) } …

function decodeGracefulRestart(buffer: Uint8Array, start: number, end: number): Capability {
  const families: RestartFamily[] = [];
  for (let at = start + 2; at < end; at += 4) {
    const family = routeFamilyOf(readU16(buffer, at), buffer[at + 2]!);
    const forwardingPreserved = (buffer[at + 3]! & FORWARDING_PRESERVED) !== 0;
    if (family !== undefined) families.push({ family, forwardingPreserved });
  }
  const head = readU16(buffer, start);
  return {
    kind: "gracefulRestart",
    restarted: (head & RESTARTED) !== 0,
    notification: (head & NOTIFICATION) !== 0,
    restartSeconds: head & RESTART_SECONDS_MAX,
    families,
  };
}

function encodeGracefulRestart(
  capability: Extract<Capability, { kind: "gracefulRestart" }>,
  out: ByteWriter,
): void {
  header(out, CapabilityCode.gracefulRestart, 2 + capability.families.length * 4);
  const flags =
    (capability.restarted ? RESTARTED : 0) | (capability.notification ? NOTIFICATION : 0);
  out.u16(flags | Math.min(capability.restartSeconds, RESTART_SECONDS_MAX));
  for (const { family, forwardingPreserved } of capability.families) {
    out.u16(afiOf(family));
    out.u8(SAFI_UNICAST);
    out.u8(forwardingPreserved ? FORWARDING_PRESERVED : 0);
  }
}

// RFC 9494 §3.1:  { AFI (2), SAFI (1), F… (1), stale seconds (3) } …

function decodeLongLived(buffer: Uint8Array, start: number, end: number): Capability {
  const families: LongLivedFamily[] = [];
  for (let at = start; at < end; at += 7) {
    const family = routeFamilyOf(readU16(buffer, at), buffer[at + 2]!);
    const forwardingPreserved = (buffer[at + 3]! & FORWARDING_PRESERVED) !== 0;
    const staleSeconds = readU24(buffer, at + 4);
    if (family !== undefined) families.push({ family, forwardingPreserved, staleSeconds });
  }
  return { kind: "longLivedGracefulRestart", families };
}

function encodeLongLived(families: readonly LongLivedFamily[], out: ByteWriter): void {
  header(out, CapabilityCode.longLivedGracefulRestart, families.length * 7);
  for (const { family, forwardingPreserved, staleSeconds } of families) {
    out.u16(afiOf(family));
    out.u8(SAFI_UNICAST);
    out.u8(forwardingPreserved ? FORWARDING_PRESERVED : 0);
    out.u24(staleSeconds);
  }
}

// RFC 7911 §4:  { AFI (2), SAFI (1), mode (1) } …

function decodeAddPath(buffer: Uint8Array, start: number, end: number): Capability {
  const families: { family: RouteFamily; mode: AddPathMode }[] = [];
  for (let at = start; at < end; at += 4) {
    const family = routeFamilyOf(readU16(buffer, at), buffer[at + 2]!);
    const mode = buffer[at + 3]!;
    // RFC 7911 §4: another mode makes the entry as if not understood.
    if (family !== undefined && (mode === 1 || mode === 2 || mode === 3)) {
      families.push({ family, mode });
    }
  }
  return { kind: "addPath", families };
}

function encodeAddPath(
  capability: Extract<Capability, { kind: "addPath" }>,
  out: ByteWriter,
): void {
  header(out, CapabilityCode.addPath, capability.families.length * 4);
  for (const { family, mode } of capability.families) {
    out.u16(afiOf(family));
    out.u8(SAFI_UNICAST);
    out.u8(mode);
  }
}

// draft-walton-bgp-hostname-capability §3:  length (1), host name, length (1), domain name

function decodeFqdn(buffer: Uint8Array, start: number, end: number): Capability | undefined {
  if (end === start) return undefined;
  const hostEnd = start + 1 + buffer[start]!;
  if (hostEnd > end) return undefined;
  const hostName = decodeText(buffer, start + 1, hostEnd);
  if (hostEnd === end) return { kind: "fqdn", hostName, domainName: "" };
  const domainEnd = hostEnd + 1 + buffer[hostEnd]!;
  if (domainEnd > end) return undefined;
  return { kind: "fqdn", hostName, domainName: decodeText(buffer, hostEnd + 1, domainEnd) };
}

function encodeFqdn(hostName: string, domainName: string, out: ByteWriter): void {
  const host = encodeText(hostName, NAME_BYTES_MAX);
  const domain = encodeText(domainName, DOMAIN_BYTES_MAX);
  header(out, CapabilityCode.fqdn, 2 + host.length + domain.length);
  out.u8(host.length);
  out.raw(host);
  out.u8(domain.length);
  out.raw(domain);
}

// draft-abraitis-bgp-version-capability §3:  length (1), version

function decodeSoftwareVersion(
  buffer: Uint8Array,
  start: number,
  end: number,
): Capability | undefined {
  if (end === start) return undefined;
  const versionEnd = start + 1 + buffer[start]!;
  if (versionEnd === start + 1 || versionEnd > end) return undefined;
  return { kind: "softwareVersion", version: decodeText(buffer, start + 1, versionEnd) };
}

function encodeSoftwareVersion(version: string, out: ByteWriter): void {
  const text = encodeText(version, NAME_BYTES_MAX);
  header(out, CapabilityCode.softwareVersion, 1 + text.length);
  out.u8(text.length);
  out.raw(text);
}
