/** What the peers of a speaker keep together: none of it is a peer's own, each uses it in turn. */
import { DecoderMemory } from "../message/update.ts";
import { Introductions } from "./introductions.ts";

export class PeerMemory {
  readonly decoder = new DecoderMemory();
  readonly introductions = new Introductions();
}
