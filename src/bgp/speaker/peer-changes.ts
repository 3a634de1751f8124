/** Whose state changed, told all together in a turn of the work queue, and who is not up. */
import type { IpAddress } from "../../ip/address.ts";
import type { WorkQueue } from "../session/work-queue.ts";
import type { Peer } from "./peer.ts";
import { taskOf } from "./rib-tasks.ts";

/** Peers whose state changed, or (empty) only that of a listener. */
export type PeerListener = (addresses: readonly IpAddress[]) => void;

export class PeerChanges {
  readonly #work: WorkQueue;
  readonly #running: () => boolean;
  readonly #changed = new Set<IpAddress>();
  readonly #notUp = new Set<Peer>();
  readonly #listeners = new Set<PeerListener>();
  readonly #tell = taskOf(() => this.#tellAll());

  /** While not `running` nobody is told. */
  constructor(work: WorkQueue, running: () => boolean) {
    this.#work = work;
    this.#running = running;
  }

  /** Those of the peers that are not up. */
  get notUp(): Iterable<Peer> {
    return this.#notUp;
  }

  /** It came, changed its state, or is gone: not `known` any more. */
  note(peer: Peer, known: boolean): void {
    if (known && !peer.isUp) this.#notUp.add(peer);
    else this.#notUp.delete(peer);
    this.#changed.add(peer.address);
    this.#work.schedule(this.#tell);
  }

  /** The state of a listener changed. */
  noteListener(): void {
    this.#work.schedule(this.#tell);
  }

  /** Gives what removes the listener. */
  listen(listener: PeerListener): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  #tellAll(): void {
    const addresses = [...this.#changed];
    this.#changed.clear();
    // A listener may stop the speaker: the others hear no more then.
    for (const listener of this.#listeners) if (this.#running()) listener(addresses);
  }
}
