/**
 * For whom the speaker waits: before it advertises after a restart (RFC 4724 §4.1), before it calls
 * itself converged, and before what an earlier run has left behind counts as nobody's. Pure
 * functions over what is known of each peer.
 */
import type { NegotiatedSession, RouteFamily } from "../message/types.ts";
import type { PeerConfig, SpeakerConfig } from "../types.ts";
import { CONVERGED_ABSENT_MS, DEFERRAL_ABSENT_MS, NO_END_OF_RIB_MS } from "./limits.ts";

/** What counts of a peer here. */
export interface WaitingPeer {
  readonly config: PeerConfig;
  /** Configured to be down, or held down. */
  readonly down: boolean;
  /** Monotonic ms; undefined = not up. */
  readonly upAt: number | undefined;
  readonly negotiated: NegotiatedSession | undefined;
  readonly endOfRib: ReadonlySet<RouteFamily>;
  readonly heardKeepalive: boolean;
}

/**
 * Whether routes go on being held back, `elapsedMs` after the start: until each peer has sent its
 * End-of-RIB, or has not come up in the first seconds, at most for the deferral time. Not waited
 * for: who announces no graceful restart, and who restarted as well.
 * Deviation: RFC 4724 §4.1 defers the selection of routes and waits for absent peers too; here
 * only advertising waits, and absent peers have a short time, so that a dead one holds up nobody.
 * In a mesh of internal peers without a client nothing waits: what one tells is told to no other
 * (RFC 4271 §9.2), so what we tell does not depend on it.
 */
export function mustDefer(
  peers: Iterable<WaitingPeer>,
  speaker: Pick<SpeakerConfig, "as" | "deferralSeconds">,
  elapsedMs: number,
): boolean {
  if (elapsedMs >= speaker.deferralSeconds * 1000) return false;
  let [passesOn, waits] = [false, false];
  for (const peer of peers) {
    const { remoteAs, localAs, routeReflectorClient } = peer.config;
    passesOn ||= routeReflectorClient || remoteAs !== (localAs ?? speaker.as);
    waits ||= !peer.down && isWaitedFor(peer, elapsedMs);
    if (passesOn && waits) return true;
  }
  return false;
}

function isWaitedFor(peer: WaitingPeer, elapsedMs: number): boolean {
  const { upAt, negotiated } = peer;
  if (upAt === undefined || negotiated === undefined) return elapsedMs < DEFERRAL_ABSENT_MS;
  const restart = negotiated.gracefulRestart;
  return restart !== undefined && !restart.restarted && !hasAll(peer, negotiated);
}

/**
 * Whether every peer has told its table, or has had its time to. `kept`: routes of an earlier run
 * are kept that peers may yet tell of. Then who is up and owes its End-of-RIB has the deferral time
 * (RFC 4724 §4.1); and who is away, for it may be restarting as well and forward all the while, as
 * long as we ask it to keep what is ours.
 */
export function hasConverged(
  peers: Iterable<WaitingPeer>,
  nowMs: number,
  startedAtMs: number,
  kept?: Pick<SpeakerConfig, "deferralSeconds">,
): boolean {
  const elapsedMs = nowMs - startedAtMs;
  for (const peer of peers) {
    if (peer.down) continue;
    const { config, upAt, negotiated, heardKeepalive } = peer;
    if (upAt === undefined || negotiated === undefined) {
      const keptSeconds = (kept && config.gracefulRestart?.restartSeconds) ?? 0;
      if (elapsedMs < Math.max(CONVERGED_ABSENT_MS, keptSeconds * 1000)) return false;
      continue;
    }
    if (hasAll(peer, negotiated)) continue;
    // Without graceful restart nobody promised an End-of-RIB; a KEEPALIVE follows the first table.
    const promised = negotiated.gracefulRestart !== undefined;
    if (promised && elapsedMs < (kept?.deferralSeconds ?? 0) * 1000) return false;
    const patience = promised ? CONVERGED_ABSENT_MS : NO_END_OF_RIB_MS;
    const heard = !promised && heardKeepalive;
    if (!heard && nowMs - upAt < patience) return false;
  }
  return true;
}

/** Names of those that have not told their whole table. */
export function untold(peers: Iterable<WaitingPeer>): readonly string[] {
  return [...peers].filter((peer) => !hasTold(peer)).map(({ config }) => config.name);
}

/** Whether the peer has told its whole table in this session; who is meant to be down need not. */
function hasTold(peer: WaitingPeer): boolean {
  const { down, upAt, negotiated } = peer;
  return down || (upAt !== undefined && negotiated !== undefined && hasAll(peer, negotiated));
}

function hasAll(peer: WaitingPeer, session: NegotiatedSession): boolean {
  return session.families.every((family) => peer.endOfRib.has(family));
}
