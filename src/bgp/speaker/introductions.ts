/**
 * Our OPENs. Peers are mostly configured alike, and those that are get the same octets: one is
 * encoded for all of them, and one list of capabilities is kept, however many sessions stand.
 *
 * What was made is found by comparing all that it was made of: settings that change make another
 * one by themselves. Bounded: of more kinds than `INTRODUCTIONS_MAX` the first made is forgotten,
 * and made again when asked for; sessions keep what they began with.
 */
import { sameList } from "../../runtime/same-list.ts";
import type { LocalIdentity } from "../fsm/collision.ts";
import { type Introduction, type LocalSide, openMessage } from "../message/negotiate.ts";
import { encodeOpen } from "../message/open.ts";
import type { GracefulRestartConfig, SpeakerConfig } from "../types.ts";
import { INTRODUCTIONS_MAX } from "./limits.ts";
import { type Forwarding, localSide, type Offer } from "./local-side.ts";

type Names = Pick<SpeakerConfig, "hostName" | "domainName">;

class Made implements Introduction {
  readonly side: LocalSide;
  readonly names: Names;
  readonly offer: Offer;
  readonly forwarding: Forwarding;
  #open: Uint8Array | undefined;

  constructor(identity: LocalIdentity, names: Names, offer: Offer, forwarding: Forwarding) {
    this.side = localSide(identity, names, offer, forwarding);
    this.names = names;
    this.offer = offer;
    this.forwarding = forwarding;
  }

  /** Encoded when it is to be sent: whoever lists peers asks for our side alone. */
  get open(): Uint8Array {
    this.#open ??= encodeOpen(openMessage(this.side));
    return this.#open;
  }
}

export class Introductions {
  readonly #made: Made[] = [];

  /** What we say of ourselves under these settings; see `localSide`. */
  of(
    identity: LocalIdentity,
    speaker: SpeakerConfig,
    peer: Offer,
    forwarding: Forwarding,
  ): Introduction {
    for (const made of this.#made) {
      const same =
        made.side.as === identity.as &&
        made.side.routerId === identity.routerId &&
        made.forwarding === forwarding &&
        made.names.hostName === speaker.hostName &&
        made.names.domainName === speaker.domainName &&
        sameOffer(made.offer, peer);
      if (same) return made;
    }
    const made = new Made(identity, namesOf(speaker), offerOf(peer), forwarding);
    if (this.#made.length >= INTRODUCTIONS_MAX) this.#made.shift();
    this.#made.push(made);
    return made;
  }
}

function namesOf({ hostName, domainName }: SpeakerConfig): Names {
  return { hostName, domainName };
}

function offerOf(peer: Offer): Offer {
  const { holdSeconds, families, gracefulRestart } = peer;
  const { extendedMessage, enhancedRouteRefresh, addPath } = peer;
  const plain = { extendedMessage, enhancedRouteRefresh, addPath };
  return { holdSeconds, families, gracefulRestart, ...plain };
}

function sameOffer(a: Offer, b: Offer): boolean {
  return (
    a.holdSeconds === b.holdSeconds &&
    a.extendedMessage === b.extendedMessage &&
    a.enhancedRouteRefresh === b.enhancedRouteRefresh &&
    a.addPath === b.addPath &&
    sameList(a.families, b.families) &&
    sameRestart(a.gracefulRestart, b.gracefulRestart)
  );
}

function sameRestart(
  a: GracefulRestartConfig | undefined,
  b: GracefulRestartConfig | undefined,
): boolean {
  if (a === undefined || b === undefined) return a === b;
  return (
    a.restartSeconds === b.restartSeconds &&
    a.notification === b.notification &&
    a.longLivedSeconds === b.longLivedSeconds
  );
}
