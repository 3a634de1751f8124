/**
 * The decision process, RFC 4271 §9.1.2, with RFC 4456 §9 (reflection) and RFC 9494 §4.3 (stale).
 *
 * Among the paths of a prefix that may be used, each step leaves those with the lowest key. MED
 * counts between paths of the same neighbouring AS only, and all of those are compared before the
 * next step, so that the result does not depend on the order of arrival. Nothing is stored but the
 * winner: why a path lost is found by running the steps again (`explain`).
 *
 * Deviation: the older of two external paths is not preferred (RFC 5004); results are the same
 * after every restart.
 */
import { compareAddresses, type IpAddress } from "../../ip/address.ts";
import type { LostReason } from "../types.ts";
import { CommunityBit } from "./attribute-content.ts";
import type { AttributeStore } from "./attribute-store.ts";
import type { NextHopTable } from "./next-hop-table.ts";
import { NO_PATH, type PathId, type PathStore, Verdict } from "./path-store.ts";
import { PeerKind, type PeerTable } from "./peer-table.ts";
import type { PrefixTable, RowId } from "./prefix-table.ts";

/** The steps in order. Before `med` any two paths compare; `cost` is the last for multipath. */
const Step = {
  longLived: 0,
  localPref: 1,
  localOrigin: 2,
  pathLength: 3,
  origin: 4,
  med: 5,
  internal: 6,
  cost: 7,
  routerId: 8,
  clusterLength: 9,
  address: 10,
  pathId: 11,
} as const;
type Step = (typeof Step)[keyof typeof Step];

const STEP_LAST = Step.pathId;

const REASONS: readonly LostReason[] = [
  "long-lived stale",
  "lower LOCAL_PREF",
  "local origin",
  "longer AS_PATH",
  "higher ORIGIN",
  "higher MED",
  "internal",
  "higher IGP cost",
  "higher router id",
  "longer CLUSTER_LIST",
  "higher address",
  "higher path id",
];

/** What decision needs of its surroundings. */
export interface DecisionInputs {
  readonly table: PrefixTable;
  readonly paths: PathStore;
  readonly attributes: AttributeStore;
  readonly nextHops: NextHopTable;
  readonly peers: PeerTable<{ readonly address: IpAddress }>;
}

export class Decision {
  private readonly table: PrefixTable;
  private readonly paths: PathStore;
  private readonly attributes: AttributeStore;
  private readonly nextHops: NextHopTable;
  private readonly peers: PeerTable<{ readonly address: IpAddress }>;
  /** Paths still in the running; refilled by each selection. */
  private readonly running: PathId[] = [];
  private count = 0;

  constructor(inputs: DecisionInputs) {
    this.table = inputs.table;
    this.paths = inputs.paths;
    this.attributes = inputs.attributes;
    this.nextHops = inputs.nextHops;
    this.peers = inputs.peers;
  }

  /** Whether the path may be used at all, RFC 4271 §9.1.2. */
  isEligible(path: PathId): boolean {
    return this.paths.verdict(path) === Verdict.accepted && this.isReachable(path);
  }

  /** The best path of the row from all of its paths; 0 = none. */
  select(row: RowId): PathId {
    this.gather(row);
    for (let step: Step = Step.longLived; this.count > 1 && step <= STEP_LAST; step++) {
      this.narrow(step as Step, undefined);
    }
    return this.count === 0 ? NO_PATH : this.running[0]!;
  }

  /**
   * The best path after `added` joined the row, whose best was chosen without it. Mostly one
   * comparison: a path that loses against the best changes nothing, since at most it eliminates
   * others that have lost as well; one that wins before MED counts wins outright.
   */
  selectAfterAdding(row: RowId, added: PathId): PathId {
    const best = this.table.best(row);
    if (!this.isEligible(added)) return best;
    if (this.table.head(row) === added && this.paths.next(added) === NO_PATH) return added;
    if (best === NO_PATH || !this.isEligible(best)) return this.select(row);
    for (let step: Step = Step.longLived; step <= STEP_LAST; step++) {
      const difference = this.compareAt(step as Step, added, best);
      if (difference > 0) return best;
      if (difference < 0) return step < Step.med ? added : this.select(row);
    }
    return best;
  }

  /** The paths to use together: the best first, then others equal to it up to the IGP cost. */
  multipath(row: RowId, maximum: number): PathId[] {
    const best = this.table.best(row);
    if (best === NO_PATH) return [];
    if (maximum <= 1) return [best];
    this.gather(row);
    for (let step: Step = Step.longLived; this.count > 1 && step <= Step.cost; step++) {
      this.narrow(step as Step, undefined);
    }
    const equals = this.running.slice(0, this.count).filter((path) => path !== best);
    equals.sort((a, b) => this.compareTail(a, b));
    return [best, ...equals].slice(0, maximum);
  }

  /** Why each path of the row is not the best one; the best path has no entry. */
  explain(row: RowId): Map<PathId, LostReason> {
    const reasons = new Map<PathId, LostReason>();
    for (let path = this.table.head(row); path !== NO_PATH; path = this.paths.next(path)) {
      const reason = this.ineligibleReason(path);
      if (reason !== undefined) reasons.set(path, reason);
    }
    this.gather(row);
    for (let step: Step = Step.longLived; this.count > 1 && step <= STEP_LAST; step++) {
      this.narrow(step as Step, reasons);
    }
    return reasons;
  }

  private ineligibleReason(path: PathId): LostReason | undefined {
    switch (this.paths.verdict(path)) {
      case Verdict.policy:
        return "import policy";
      case Verdict.asLoop:
        return "AS loop";
      case Verdict.reflectionLoop:
        return "reflection loop";
      case Verdict.accepted:
        return this.isReachable(path) ? undefined : "next hop unreachable";
    }
  }

  private isReachable(path: PathId): boolean {
    const cost = this.nextHops.cost(this.attributes.nextHop(this.paths.attributesOf(path)));
    return cost !== Number.POSITIVE_INFINITY || this.kind(path) === PeerKind.local;
  }

  private gather(row: RowId): void {
    this.count = 0;
    for (let path = this.table.head(row); path !== NO_PATH; path = this.paths.next(path)) {
      if (this.isEligible(path)) this.running[this.count++] = path;
    }
  }

  /** Leaves those that are best at this step; notes the reason of the others. */
  private narrow(step: Step, reasons: Map<PathId, LostReason> | undefined): void {
    if (step === Step.med) this.narrowByMed(reasons);
    else {
      let best = this.running[0]!;
      for (let i = 1; i < this.count; i++) {
        if (this.compareAt(step, this.running[i]!, best) < 0) best = this.running[i]!;
      }
      let kept = 0;
      for (let i = 0; i < this.count; i++) {
        const path = this.running[i]!;
        if (this.compareAt(step, path, best) === 0) this.running[kept++] = path;
        else reasons?.set(path, REASONS[step]!);
      }
      this.count = kept;
    }
  }

  /** RFC 4271 §9.1.2.2 c: a path goes when one of the same neighbouring AS has a lower MED. */
  private narrowByMed(reasons: Map<PathId, LostReason> | undefined): void {
    if (this.medsAreEqual()) return;
    const lowest = new Map<number, number>();
    for (let i = 0; i < this.count; i++) {
      const attributes = this.paths.attributesOf(this.running[i]!);
      const as = this.attributes.neighborAs(attributes);
      const med = this.attributes.med(attributes);
      if (med < (lowest.get(as) ?? Number.POSITIVE_INFINITY)) lowest.set(as, med);
    }
    let kept = 0;
    for (let i = 0; i < this.count; i++) {
      const path = this.running[i]!;
      const attributes = this.paths.attributesOf(path);
      const med = lowest.get(this.attributes.neighborAs(attributes));
      if (this.attributes.med(attributes) === med) this.running[kept++] = path;
      else reasons?.set(path, REASONS[Step.med]!);
    }
    this.count = kept;
  }

  private medsAreEqual(): boolean {
    const first = this.attributes.med(this.paths.attributesOf(this.running[0]!));
    for (let i = 1; i < this.count; i++) {
      const med = this.attributes.med(this.paths.attributesOf(this.running[i]!));
      if (med !== first) return false;
    }
    return true;
  }

  /** The tie-breakers behind the IGP cost, for a stable order of multipaths. */
  private compareTail(a: PathId, b: PathId): number {
    for (let step: Step = Step.routerId; step <= STEP_LAST; step++) {
      const difference = this.compareAt(step as Step, a, b);
      if (difference !== 0) return difference;
    }
    return 0;
  }

  /** Negative: `a` is better at this step; positive: `b`; zero: this step does not tell. */
  private compareAt(step: Step, a: PathId, b: PathId): number {
    const store = this.attributes;
    const x = this.paths.attributesOf(a);
    const y = this.paths.attributesOf(b);
    switch (step) {
      case Step.longLived:
        return this.staleRank(a, x) - this.staleRank(b, y);
      case Step.localPref:
        return store.localPref(y) - store.localPref(x);
      case Step.localOrigin:
        return rank(this.kind(b) === PeerKind.local) - rank(this.kind(a) === PeerKind.local);
      case Step.pathLength:
        return store.pathLength(x) - store.pathLength(y);
      case Step.origin:
        return store.origin(x) - store.origin(y);
      case Step.med:
        return store.neighborAs(x) === store.neighborAs(y) ? store.med(x) - store.med(y) : 0;
      case Step.internal:
        return rank(this.isInternal(a)) - rank(this.isInternal(b));
      case Step.cost:
        return this.nextHops.cost(store.nextHop(x)) - this.nextHops.cost(store.nextHop(y));
      case Step.routerId:
        return this.identifier(a, x) - this.identifier(b, y);
      case Step.clusterLength:
        return store.clusterLength(x) - store.clusterLength(y);
      case Step.address:
        return this.compareAddress(a, b);
      case Step.pathId:
        return this.paths.pathId(a) - this.paths.pathId(b);
    }
  }

  private staleRank(path: PathId, attributes: number): number {
    const marked = (this.attributes.communityBits(attributes) & CommunityBit.longLivedStale) !== 0;
    return rank(marked || this.paths.isLongLived(path));
  }

  /** ORIGINATOR_ID stands for the router id of a reflected path, RFC 4456 §9. */
  private identifier(path: PathId, attributes: number): number {
    return this.attributes.originatorId(attributes) || this.peers.routerId(this.paths.peer(path));
  }

  private compareAddress(a: PathId, b: PathId): number {
    const x = this.paths.peer(a);
    const y = this.paths.peer(b);
    if (x === y) return 0;
    return compareAddresses(this.peers.get(x).address, this.peers.get(y).address);
  }

  private kind(path: PathId): PeerKind {
    return this.peers.kind(this.paths.peer(path));
  }

  private isInternal(path: PathId): boolean {
    return this.kind(path) >= PeerKind.client;
  }
}

function rank(worse: boolean): number {
  return worse ? 1 : 0;
}
