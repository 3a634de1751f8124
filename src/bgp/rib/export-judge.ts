/**
 * Decides for one update group whether a path may be told, and with which policy outcome. Rows come
 * in runs of one attribute set, so the last verdict is kept; a policy with prefix conditions is
 * asked for each prefix.
 */
import { PrefixBatch } from "../../ip/prefix-batch.ts";
import type { AttributeStore } from "./attribute-store.ts";
import type { Decision } from "./decision.ts";
import { type ExportOptions, exportedNextHop, goesWithOwn, mayExport } from "./export-rules.ts";
import type { NextHopTable } from "./next-hop-table.ts";
import { NO_PATH, type PathId, type PathStore } from "./path-store.ts";
import { type PeerId, PeerKind } from "./peer-table.ts";
import { type PolicyOutcome, type PolicyProgram, REJECTED, UNCHANGED } from "./policy.ts";
import { NO_ROW, type PrefixTable, type RowId } from "./prefix-table.ts";
import { RowSet } from "./row-set.ts";

/** Kinds by peer number. */
export interface PeerKinds {
  kind(peer: number): PeerKind;
}

/** What there is to tell. */
export interface JudgedRib {
  readonly table: PrefixTable;
  readonly paths: PathStore;
  readonly decision: Decision;
}

export class ExportJudge {
  readonly dependsOnPrefix: boolean;
  /** Nothing may be told, whatever it is. */
  readonly rejectsAll: boolean;
  /** Of what is left out, because there is no address of ours for it to go with. */
  private readonly lacking = new RowSet();
  private readonly options: ExportOptions;
  private readonly table: PrefixTable;
  private readonly paths: PathStore;
  private readonly decision: Decision;
  private readonly store: AttributeStore;
  private readonly nextHops: NextHopTable;
  private readonly peers: PeerKinds;
  private readonly probe = new PrefixBatch(1);
  private lastAttributes = 0;
  private lastKind: PeerKind = PeerKind.local;
  private lastOutcome: PolicyOutcome = REJECTED;
  private lastLacks = false;

  constructor(
    options: ExportOptions,
    rib: JudgedRib,
    store: AttributeStore,
    nextHops: NextHopTable,
    peers: PeerKinds,
  ) {
    this.options = options;
    this.table = rib.table;
    this.paths = rib.paths;
    this.decision = rib.decision;
    this.store = store;
    this.nextHops = nextHops;
    this.peers = peers;
    this.dependsOnPrefix = options.policy?.dependsOnPrefix ?? false;
    this.rejectsAll =
      options.policy === undefined
        ? options.kind === PeerKind.external // RFC 8212 §2
        : options.policy.constant === REJECTED;
  }

  /** Forgets the last verdict: attribute ids may have changed their meaning since. */
  begin(): void {
    this.lastAttributes = 0;
  }

  /**
   * Something that the peer would be told is left out now, because there is no address of ours for
   * it to go with; `addPath`: it would be told more than the best path of a row.
   */
  lacksOwnNextHop(peer: PeerId, addPath: boolean): boolean {
    const { lacking, table, paths } = this;
    this.begin();
    for (let row = lacking.nextFrom(1); row !== NO_ROW; row = lacking.nextFrom(row + 1)) {
      let path = addPath ? table.head(row) : table.best(row);
      for (; path !== NO_PATH; path = addPath ? paths.next(path) : NO_PATH) {
        if (paths.peer(path) !== peer && this.isLeftOut(path, row)) return true;
      }
    }
    return false;
  }

  /** Whether something may be left out for want of an address of ours. */
  get lacksSome(): boolean {
    return this.lacking.size > 0;
  }

  /** Whether something of the row is. */
  lacks(row: RowId): boolean {
    return this.lacking.size > 0 && this.lacking.has(row);
  }

  /** All that is to be told of the row is about to be judged anew. */
  lookAgain(row: RowId): void {
    if (this.lacking.size > 0) this.lacking.delete(row);
  }

  /** The outcome for a path, or REJECTED. */
  judge(path: PathId, row: RowId): PolicyOutcome {
    if (!this.mayTell(path)) return REJECTED;
    const kind = this.peers.kind(this.paths.peer(path));
    const outcome = this.outcome(this.paths.attributesOf(path), kind, row);
    if (this.lastLacks) this.lacking.add(row);
    return outcome;
  }

  /** The outcome for something that is advertised already. */
  judgeSource(attributes: number, source: number, row: RowId): PolicyOutcome {
    return this.outcome(attributes, this.peers.kind(source), row);
  }

  private isLeftOut(path: PathId, row: RowId): boolean {
    if (!this.decision.isEligible(path) || !this.mayTell(path)) return false;
    this.judge(path, row);
    return this.lastLacks;
  }

  private mayTell(path: PathId): boolean {
    const kind = this.peers.kind(this.paths.peer(path));
    const bits = this.store.communityBits(this.paths.attributesOf(path));
    return mayExport(this.options, kind, bits, this.paths.isLongLived(path));
  }

  private outcome(attributes: number, kind: PeerKind, row: RowId): PolicyOutcome {
    if (!this.dependsOnPrefix && attributes === this.lastAttributes && kind === this.lastKind) {
      return this.lastOutcome;
    }
    const outcome = this.evaluate(attributes, kind, row);
    this.lastAttributes = attributes;
    this.lastKind = kind;
    this.lastOutcome = outcome;
    return outcome;
  }

  private evaluate(attributes: number, kind: PeerKind, row: RowId): PolicyOutcome {
    const policy = this.options.policy;
    this.lastLacks = false;
    const outcome = policy === undefined ? UNCHANGED : this.ask(policy, attributes, kind, row);
    if (outcome === REJECTED) return REJECTED;
    const self = policy?.nextHopSelf(outcome) ?? false;
    const known = this.nextHops.address(this.store.nextHop(attributes));
    const nextHop = exportedNextHop(this.options, kind, known, self);
    if (nextHop !== undefined) return outcome;
    this.lastLacks = goesWithOwn(this.options, kind, known, self);
    return REJECTED;
  }

  private ask(
    policy: PolicyProgram,
    attributes: number,
    kind: PeerKind,
    row: RowId,
  ): PolicyOutcome {
    if (policy.constant !== undefined) return policy.constant;
    if (this.dependsOnPrefix) {
      this.probe.reset(this.table.family);
      this.table.copyTo(this.probe, row, 0);
    }
    const values = this.store.get(attributes);
    return policy.evaluate(values, kind === PeerKind.local, this.probe, 0);
  }
}
