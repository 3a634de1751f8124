/** What a peer sees of the speaker that it belongs to. */
import type { PeerId } from "../rib/peer-table.ts";
import type { Rib } from "../rib/rib.ts";
import type { SessionServices } from "../session/peer-session.ts";
import type { SpeakerConfig } from "../types.ts";
import type { Peer } from "./peer.ts";
import type { PeerMemory } from "./peer-memory.ts";
import type { Underlay } from "./underlay.ts";

/** What the peers of a speaker share. */
export interface PeerHost {
  readonly services: SessionServices;
  readonly rib: Rib;
  readonly memory: PeerMemory;
  readonly underlay: Underlay;
  config(): SpeakerConfig;
  /** Sessions may begin. */
  running(): boolean;
  /** We restarted `ms` ago at most: our OPENs may say so. */
  restartedWithin(ms: number): boolean;
  /** Routes are held back for now, RFC 4724 §4.1. */
  deferring(): boolean;
  /** The peer has this number in the RIB from now on; undefined = none any more. */
  bind(peer: Peer, before: PeerId | undefined, id: PeerId | undefined): void;
  /** The state of the peer's session is another. */
  changed(peer: Peer): void;
  /** It came up, went down, or sent an End-of-RIB: others may have waited for it. */
  progressed(): void;
}
