/**
 * Messages as lines of text in the words of `tcpdump -v`, so that an exchange of ours can be laid
 * beside a capture. Works on the octets, not on decoded values: it shows lengths and order, and
 * what no decoder would take. Whatever is cut off is said to be, nothing is read beyond the end.
 *
 * The first line has no indent; the others stand as tcpdump's do relative to it, tabs as eight
 * spaces. Deviation from tcpdump: the capabilities that it has no decoder for stay hexadecimal as
 * in the version that the field uses, and a withdrawal is not called End-of-RIB.
 */
import { readU16 } from "../../../src/bgp/message/bytes.ts";
import { errorCodeName, errorSubcodeName } from "../../../src/bgp/message/error-names.ts";
import { HEADER_BYTES } from "../../../src/bgp/message/header.ts";
import { decodeShutdownCommunication } from "../../../src/bgp/message/notification.ts";
import { CeaseSubcode, ErrorCode, MessageType } from "../../../src/bgp/message/types.ts";
import { addressFromBytes } from "../../../src/ip/address.ts";
import { hexLines } from "./hex-lines.ts";
import { renderAttributes, renderPrefixes } from "./tcpdump-update.ts";

export interface RenderOptions {
  /** How many octets an AS has in AS_PATH; 4-octet unless told. */
  readonly fourOctetAs?: boolean;
}

const MESSAGE_NAMES: readonly (string | undefined)[] = [
  undefined,
  "Open Message",
  "Update Message",
  "Notification Message",
  "Keepalive Message",
  "Route Refresh Message",
];

const CAPABILITY_NAMES: ReadonlyMap<number, string> = new Map([
  [1, "Multiprotocol Extensions"],
  [2, "Route Refresh"],
  [5, "Extended Next Hop Encoding"],
  [64, "Graceful Restart"],
  [65, "32-Bit AS Number"],
  [69, "Multiple Paths"],
  [70, "Enhanced Route Refresh"],
  [71, "Long-Lived Graceful Restart (LLGR)"],
]);

/** Lines for the message (header included) at `start` to `end`. */
export function renderMessage(
  buffer: Uint8Array,
  start: number,
  end: number,
  options: RenderOptions = {},
): string[] {
  const length = end - start;
  if (length < HEADER_BYTES) return [`[cut off header, ${length} octets]`];
  const type = buffer[start + 18]!;
  const name = MESSAGE_NAMES[type] ?? "Unknown Message";
  const lines = [`${name} (${type}), length: ${length}`];
  const body = buffer.subarray(start + HEADER_BYTES, end);
  if (type === MessageType.open) renderOpen(body, lines);
  else if (type === MessageType.update) renderUpdate(body, options.fourOctetAs !== false, lines);
  else if (type === MessageType.notification) lines[0] += renderNotification(body);
  else if (type === MessageType.routeRefresh) renderRouteRefresh(body, lines);
  return lines;
}

/** `AFI IPv4 (1), SAFI Unicast (1)`. */
function familyText(afi: number, safi: number): string {
  const afiName = afi === 1 ? "IPv4" : afi === 2 ? "IPv6" : "Unknown";
  return `AFI ${afiName} (${afi}), SAFI ${safi === 1 ? "Unicast" : "Unknown"} (${safi})`;
}

function renderOpen(body: Uint8Array, lines: string[]): void {
  if (body.length < 10) {
    lines.push("  [cut off]");
    return;
  }
  const [as, hold] = [readU16(body, 1), readU16(body, 3)];
  const id = addressFromBytes(body, 5, 4);
  lines.push(`  Version ${body[0]}, my AS ${as}, Holdtime ${hold}s, ID ${id}`);
  lines.push(`  Optional parameters, length: ${body[9]}`);
  const extended = body[9] !== 0 && body[10] === 255;
  const headBytes = extended ? 3 : 2;
  for (let at = extended ? 13 : 10; at < body.length; ) {
    const value = at + headBytes;
    const length = extended ? readU16(body, at + 1) : body[at + 1]!;
    if (value > body.length || value + length > body.length) {
      lines.push("    [cut off]");
      return;
    }
    const name = body[at] === 2 ? "Capabilities Advertisement" : "Unknown";
    lines.push(`    Option ${name} (${body[at]}), length: ${length}`);
    if (body[at] === 2) renderCapabilities(body.subarray(value, value + length), lines);
    at = value + length;
  }
}

function renderCapabilities(list: Uint8Array, lines: string[]): void {
  for (let at = 0; at < list.length; ) {
    const end = at + 2 + (list[at + 1] ?? 255);
    if (end > list.length) {
      lines.push("      [cut off]");
      return;
    }
    const code = list[at]!;
    const name = CAPABILITY_NAMES.get(code) ?? "Unknown";
    lines.push(`      ${name} (${code}), length: ${end - at - 2}`);
    renderCapability(code, list.subarray(at + 2, end), lines);
    at = end;
  }
}

function renderCapability(code: number, value: Uint8Array, lines: string[]): void {
  if (code === 1 && value.length === 4) {
    lines.push(`        ${familyText(readU16(value, 0), value[3]!)}`);
  } else if (code === 65 && value.length === 4) {
    lines.push(`         4 Byte AS ${readU16(value, 0) * 65_536 + readU16(value, 2)}`);
  } else if (code === 64 && value.length % 4 === 2) {
    const head = readU16(value, 0);
    const flags = `${head & 0x8000 ? "R" : ""}${head & 0x4000 ? "N" : ""}` || "none";
    lines.push(`        Restart Flags: [${flags}], Restart Time ${head & 0xfff}s`);
    for (let at = 2; at < value.length; at += 4) {
      const family = familyText(readU16(value, at), value[at + 2]!);
      const preserved = (value[at + 3]! & 0x80) !== 0 ? "yes" : "no";
      lines.push(`          ${family}, Forwarding state preserved: ${preserved}`);
    }
  } else if (code === 69 && value.length % 4 === 0) {
    for (let at = 0; at < value.length; at += 4) {
      const mode = ["", "Receive", "Send", "Both"][value[at + 3]!] ?? "Unknown";
      const family = familyText(readU16(value, at), value[at + 2]!);
      lines.push(`        ${family}, Send/Receive: ${mode}`);
    }
  } else if (value.length > 0) {
    lines.push(`        no decoder for Capability ${code}`, ...hexLines(value, "        "));
  }
}

function renderUpdate(body: Uint8Array, fourOctetAs: boolean, lines: string[]): void {
  if (body.length < 4) {
    lines.push("  [cut off]");
    return;
  }
  const attributesAt = 2 + readU16(body, 0);
  const attributesEnd =
    attributesAt + 2 <= body.length ? attributesAt + 2 + readU16(body, attributesAt) : Infinity;
  if (attributesEnd > body.length) {
    lines.push("  [cut off]");
    return;
  }
  if (body.length === 4) {
    lines.push("  End-of-Rib Marker (empty NLRI)");
    return;
  }
  const withdrawn = body.subarray(2, attributesAt);
  if (withdrawn.length > 0) {
    lines.push("  Withdrawn routes:", ...renderPrefixes(withdrawn, 4, "    "));
  }
  lines.push(...renderAttributes(body.subarray(attributesAt + 2, attributesEnd), fourOctetAs));
  const announced = body.subarray(attributesEnd);
  if (announced.length > 0) {
    lines.push("  Updated routes:", ...renderPrefixes(announced, 4, "    "));
  }
}

/** Stands behind the first line, as in tcpdump. */
function renderNotification(body: Uint8Array): string {
  if (body.length < 2) return ", [cut off]";
  const [code, subcode] = [body[0]!, body[1]!];
  const name = errorSubcodeName(code, subcode) ?? "Unspecified Error";
  const text = `, ${errorCodeName(code)} (${code}), subcode ${name} (${subcode})`;
  const shutdown =
    subcode === CeaseSubcode.administrativeShutdown || subcode === CeaseSubcode.administrativeReset;
  if (code !== ErrorCode.cease || !shutdown || body.length < 3) return text;
  const communication = decodeShutdownCommunication(body.subarray(2)) ?? "";
  return `${text}, Shutdown Communication (length: ${body[2]}): ${JSON.stringify(communication)}`;
}

function renderRouteRefresh(body: Uint8Array, lines: string[]): void {
  if (body.length < 4) lines.push("  [cut off]");
  else lines.push(`  ${familyText(readU16(body, 0), body[3]!)}`);
}
