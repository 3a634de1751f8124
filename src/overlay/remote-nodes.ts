/** The addresses of all other Nodes, and those of them whose way is not decided yet. */
import { FAMILIES, type IpAddress } from "../ip/address.ts";
import type { FamilyAddresses, OverlayWanted } from "./types.ts";

/** A Node that came (no `before`), went (no `after`) or has other addresses now. */
export interface RemoteChange {
  readonly before: FamilyAddresses | undefined;
  readonly after: FamilyAddresses | undefined;
}

/** Some addresses, or any. */
export type SomeNodes = ReadonlySet<IpAddress> | "all";

const NONE: SomeNodes = new Set();

export class RemoteNodes {
  #wanted: Pick<OverlayWanted, "remotes"> = { remotes: [] };
  /**
   * How many Nodes have each: several behind one NAT may name the same. Undefined = to be counted;
   * without tunnels nobody asks.
   */
  #counts: Map<IpAddress, number> | undefined;
  /** What came or went since a pass began. */
  #touched: Set<IpAddress> | "all" = "all";
  /** What the pass under way decides. */
  #deciding: SomeNodes = NONE;

  /** `changed`: all that is not as in the last call; undefined = not known. */
  set(wanted: OverlayWanted, changed: readonly RemoteChange[] | undefined): void {
    this.#wanted = wanted;
    if (changed === undefined) {
      this.#counts = undefined;
      this.#touched = "all";
      return;
    }
    for (const { before, after } of changed) {
      for (const family of FAMILIES) {
        this.#count(before?.[family], -1);
        this.#count(after?.[family], 1);
      }
    }
  }

  has(address: IpAddress): boolean {
    return this.all.has(address);
  }

  get all(): ReadonlyMap<IpAddress, number> {
    if (this.#counts === undefined) {
      this.#counts = new Map();
      for (const remote of this.#wanted.remotes) {
        for (const family of FAMILIES) add(this.#counts, remote[family], 1);
      }
    }
    return this.#counts;
  }

  /** A pass begins, which is about these; it ends with {@link decided} or {@link failed}. */
  decide(): SomeNodes {
    this.#deciding = this.#touched;
    this.#touched = new Set();
    return this.#deciding;
  }

  decided(): void {
    this.#deciding = NONE;
  }

  failed(): void {
    this.#deciding = NONE;
    this.#touched = "all";
  }

  /** Whether no pass has ended that knew of it as it is. */
  isUndecided(address: IpAddress): boolean {
    return isAmong(this.#touched, address) || isAmong(this.#deciding, address);
  }

  /** Whether that holds for any. */
  get undecided(): boolean {
    return [this.#touched, this.#deciding].some((some) => some === "all" || some.size > 0);
  }

  #count(address: IpAddress | undefined, more: 1 | -1): void {
    if (address === undefined) return;
    if (this.#counts !== undefined) add(this.#counts, address, more);
    if (this.#touched !== "all") this.#touched.add(address);
  }
}

function add(counts: Map<IpAddress, number>, address: IpAddress | undefined, more: 1 | -1): void {
  if (address === undefined) return;
  const count = (counts.get(address) ?? 0) + more;
  if (count > 0) counts.set(address, count);
  else counts.delete(address);
}

function isAmong(some: SomeNodes, address: IpAddress): boolean {
  return some === "all" || some.has(address);
}
