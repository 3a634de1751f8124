/**
 * Route refresh with one peer: we ask for everything again, or it does (RFC 2918); and the rounds
 * of enhanced refresh in which it sends everything again, RFC 7313 §4. Each of these has an upper
 * bound, for a peer that never ends what it began.
 */
import type { Clock, Timer } from "../../runtime/clock.ts";
import { encodeRouteRefresh, RefreshSubtype } from "../message/route-refresh.ts";
import type { NegotiatedSession, RouteFamily, RouteRefreshMessage } from "../message/types.ts";
import type { Rib } from "../rib/rib.ts";
import { STALE_ROUTES_MS } from "./limits.ts";
import type { Peer } from "./peer.ts";
import type { PeerHost } from "./peer-host.ts";

export class RouteRefresh {
  readonly #peer: Peer;
  readonly #rib: Rib;
  readonly #clock: Clock;
  /** The bounds of rounds that the peer has begun. */
  readonly #rounds = new Map<RouteFamily, Timer>();

  constructor(peer: Peer, { rib, services }: PeerHost) {
    this.#peer = peer;
    this.#rib = rib;
    this.#clock = services.clock;
  }

  /** Asks the peer to send everything again, RFC 2918. False: not up, or it cannot. */
  request(): boolean {
    const { isUp, negotiated, session } = this.#peer;
    if (!isUp || negotiated === undefined || !negotiated.routeRefresh) return false;
    session.send(negotiated.families.map((family) => encodeRouteRefresh(family)));
    return true;
  }

  /** Tells the peer everything again. False: not up. */
  resend(): boolean {
    const { isUp, negotiated } = this.#peer;
    if (!isUp || negotiated === undefined) return false;
    for (const family of negotiated.families) this.#resend(negotiated, family);
    return true;
  }

  /** The peer sent a ROUTE-REFRESH. */
  received({ family, subtype }: RouteRefreshMessage): void {
    const session = this.#peer.negotiated;
    if (family === undefined || session === undefined || !session.families.includes(family)) return;
    if (subtype === RefreshSubtype.request) this.#resend(session, family);
    // RFC 7313 §5: other subtypes without the capability are ignored.
    if (!session.enhancedRouteRefresh) return;
    if (subtype === RefreshSubtype.begin) this.#begin(session, family);
    if (subtype === RefreshSubtype.end) this.#end(family);
  }

  /** The session is over, and its rounds with it. */
  ended(): void {
    for (const timer of this.#rounds.values()) timer.cancel();
    this.#rounds.clear();
  }

  #resend({ enhancedRouteRefresh: enhanced }: NegotiatedSession, family: RouteFamily): void {
    const { ribId } = this.#peer;
    if (ribId !== undefined) this.#rib.refreshOut(ribId, family, { enhanced });
  }

  #begin(session: NegotiatedSession, family: RouteFamily): void {
    const { ribId, endOfRib, session: running } = this.#peer;
    const restarts = session.remoteCapabilities.some(({ kind }) => kind === "gracefulRestart");
    if (restarts && !endOfRib.has(family)) {
      // RFC 7313 §4: its first table is still coming, and ends with an End-of-RIB.
      running.log.debug({ family }, "route refresh begins before End-of-RIB: ignored");
      return;
    }
    if (ribId !== undefined) this.#rib.beginRefresh(ribId, family);
    this.#rounds.get(family)?.cancel();
    const timer = this.#clock.after(STALE_ROUTES_MS, () => this.#end(family));
    this.#rounds.set(family, timer);
  }

  /** By the peer's word, or by time; nothing for a round that has not begun. */
  #end(family: RouteFamily): void {
    const timer = this.#rounds.get(family);
    if (timer === undefined) return;
    timer.cancel();
    this.#rounds.delete(family);
    const { ribId } = this.#peer;
    if (ribId !== undefined) this.#rib.endRefresh(ribId, family);
  }
}
