/** `podrouter peers PEER`: the long form, with the sections of `gobgp neighbor ADDRESS`. */
import type { PeerStatus } from "../agent/admin-protocol.ts";
import { printable } from "../runtime/operator-text.ts";
import { formatAge } from "./age.ts";
import { capabilityLines } from "./capability-text.ts";
import { asText, sumFamilies } from "./peers-table.ts";

/** The whole text for one peer at wall time `now` (ms since the epoch). */
export function formatPeer(peer: PeerStatus, now: number): string {
  const capabilities = capabilityLines(peer.capabilities);
  const lines = [
    ...session(peer, now),
    "",
    ...(capabilities.length === 0 ? [] : ["  Neighbor capabilities:", ...capabilities]),
    "  Message statistics:",
    ...messages(peer),
    "  Route statistics:",
    ...routes(peer),
  ];
  return `${lines.map(printable).join("\n")}\n`;
}

function session(peer: PeerStatus, now: number): readonly string[] {
  const { timers } = peer;
  const link = peer.internal ? "internal" : "external";
  const lines = [
    `BGP neighbor is ${peer.address}, remote AS ${asText(peer.remoteAs)}, ${link} link, ` +
      `name ${peer.name}`,
    `  BGP version 4, remote router ID ${peer.remoteRouterId ?? "unknown"}`,
    `  BGP state = ${stateText(peer, now)}`,
    `  BGP OutQ = ${peer.outputQueueBytes} bytes, Flops = ${peer.flaps}, ` +
      `Established = ${peer.established}`,
    `  Local address is ${peer.localAddress ?? "unknown"}, local AS ${peer.localAs}, ` +
      `remote port ${peer.port}`,
  ];
  if (timers.holdSeconds !== undefined) {
    lines.push(
      `  Hold time is ${timers.holdSeconds}, ` +
        `keepalive interval is ${timers.keepaliveSeconds ?? 0} seconds`,
    );
  }
  lines.push(`  Configured hold time is ${timers.configuredHoldSeconds} seconds`);
  if (peer.passwordSet) lines.push(`  TCP MD5 password is set${passwordHint(peer)}`);
  if (peer.restarting) lines.push("  We restarted, as our OPEN tells the peer (R bit)");
  if (peer.lastError !== undefined) {
    const age = formatAge(now - peer.lastError.at);
    lines.push(`  Last error, ${age} ago: ${peer.lastError.reason}`);
  }
  return lines;
}

/** The kernel drops what is signed with another key, and tells nobody which peer sent it. */
function passwordHint(peer: PeerStatus): string {
  const unheard = peer.state === "Active" || peer.state === "Connect";
  if (!unheard || peer.lastError !== undefined) return "";
  return ": packets of a peer that has another one, or none, are dropped without a word";
}

const STATE_NAMES = {
  Idle: "IDLE",
  Connect: "CONNECT",
  Active: "ACTIVE",
  OpenSent: "OPENSENT",
  OpenConfirm: "OPENCONFIRM",
  Established: "ESTABLISHED",
} as const satisfies Record<PeerStatus["state"], string>;

function stateText(peer: PeerStatus, now: number): string {
  if (peer.adminState === "down") return "IDLE (administratively down)";
  if (peer.adminState === "prefix-limit") return "IDLE (prefix limit exceeded)";
  const name = STATE_NAMES[peer.state];
  if (peer.since === undefined) return `${name}, never up`;
  const direction = peer.state === "Established" ? "up" : "down";
  return `${name}, ${direction} for ${formatAge(now - peer.since)}`;
}

function messages(peer: PeerStatus): readonly string[] {
  const { sent, received } = peer;
  const discarded = Object.values(peer.errors).reduce((sum, count) => sum + count, 0);
  const rows: readonly (readonly [string, number, number])[] = [
    ["Opens", sent.open, received.open],
    ["Notifications", sent.notification, received.notification],
    ["Updates", sent.update, received.update],
    ["Keepalives", sent.keepalive, received.keepalive],
    ["Route Refresh", sent.routeRefresh, received.routeRefresh],
    ["Discarded", 0, discarded],
    ["Total", sent.total, received.total],
    ["Bytes", sent.bytes, received.bytes],
  ];
  const lines = [statLine("", "Sent", "Rcvd")];
  for (const [name, out, back] of rows) lines.push(statLine(`${name}:`, String(out), String(back)));
  for (const [reason, count] of Object.entries(peer.errors)) {
    lines.push(`      ${reason}: ${count}`);
  }
  return lines;
}

function routes(peer: PeerStatus): readonly string[] {
  const lines: string[] = [];
  const row = (name: string, value: number): void => {
    lines.push(`    ${`${name}:`.padEnd(15)} ${String(value).padStart(10)}`);
  };
  row(
    "Advertised",
    sumFamilies(peer, (family) => family.advertised),
  );
  row(
    "Received",
    sumFamilies(peer, (family) => family.received),
  );
  row(
    "Accepted",
    sumFamilies(peer, (family) => family.accepted),
  );
  const oversized = sumFamilies(peer, (family) => family.oversized);
  if (oversized > 0) row("Oversized", oversized);
  const stale = sumFamilies(peer, (family) => family.stale);
  if (stale > 0) row("Stale", stale);
  for (const family of peer.families) {
    const endOfRib = [
      family.endOfRibSent ? "sent" : "not sent",
      family.endOfRibReceived ? "received" : "not received",
    ].join(", ");
    lines.push(`    End-of-RIB of ipv${family.family}-unicast: ${endOfRib}`);
  }
  return lines;
}

function statLine(name: string, sent: string, received: string): string {
  return `    ${name.padEnd(15)} ${sent.padStart(10)} ${received.padStart(10)}`;
}
