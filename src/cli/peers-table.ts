/**
 * `podrouter peers`: the columns of `gobgp neighbor` in their order, so that a script that reads
 * them keeps working, then Advertised and the peer's name.
 */
import type { PeerStatus } from "../agent/admin-protocol.ts";
import { formatAge } from "./age.ts";
import type { Column } from "./table.ts";

/** Columns for peers at wall time `now` (ms since the epoch). */
export function peerColumns(now: number, wide: boolean): readonly Column<PeerStatus>[] {
  return wide ? [...familiarColumns(now), ...WIDE_COLUMNS] : familiarColumns(now);
}

function familiarColumns(now: number): readonly Column<PeerStatus>[] {
  return [
    { header: "Peer", align: "left", widthMin: 4, value: (peer) => peer.address },
    { header: "AS", align: "right", widthMin: 2, value: (peer) => asText(peer.remoteAs) },
    { header: "Up/Down", align: "right", widthMin: 7, value: (peer) => upDown(peer, now) },
    { header: "State", align: "left", widthMin: 11, value: shortState },
    count("#Received", "|", (family) => family.received),
    count("Accepted", "", (family) => family.accepted),
    count("Advertised", "", (family) => family.advertised),
    { header: "Name", align: "left", widthMin: 4, value: (peer) => peer.name },
  ];
}

const WIDE_COLUMNS: readonly Column<PeerStatus>[] = [
  { header: "Router ID", align: "left", widthMin: 9, value: (peer) => peer.remoteRouterId ?? "-" },
  { header: "Local", align: "left", widthMin: 5, value: (peer) => peer.localAddress ?? "-" },
  { header: "Hold", align: "right", widthMin: 4, value: holdText },
  { header: "Flaps", align: "right", widthMin: 5, value: (peer) => String(peer.flaps) },
  {
    header: "Last Error",
    align: "left",
    widthMin: 10,
    value: (peer) => peer.lastError?.reason ?? "-",
  },
];

type FamilyCount = PeerStatus["families"][number];

function count(
  header: string,
  lead: string,
  of: (family: FamilyCount) => number,
): Column<PeerStatus> {
  return {
    header,
    align: "right",
    widthMin: 9,
    lead,
    value: (peer) => String(sumFamilies(peer, of)),
  };
}

/** A counter over all address families of a peer. */
export function sumFamilies(peer: PeerStatus, of: (family: FamilyCount) => number): number {
  return peer.families.reduce((sum, family) => sum + of(family), 0);
}

/** gobgp's `*` for an AS that is not known yet. */
export function asText(as: number | undefined): string {
  return as === undefined ? "*" : String(as);
}

/** Time since the state changed last, or `never`. */
function upDown(peer: PeerStatus, now: number): string {
  return peer.since === undefined ? "never" : formatAge(now - peer.since);
}

const SHORT_STATES = {
  Idle: "Idle",
  Connect: "Connect",
  Active: "Active",
  OpenSent: "Sent",
  OpenConfirm: "Confirm",
  Established: "Establ",
} as const satisfies Record<PeerStatus["state"], string>;

/** gobgp's state names. */
function shortState(peer: PeerStatus): string {
  if (peer.adminState === "down") return "Idle(Admin)";
  if (peer.adminState === "prefix-limit") return "Idle(PfxCt)";
  return SHORT_STATES[peer.state];
}

function holdText(peer: PeerStatus): string {
  return String(peer.timers.holdSeconds ?? peer.timers.configuredHoldSeconds);
}
