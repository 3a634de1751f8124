/**
 * Keeps the packet rules of rules.ts in the kernel. Others flush and rebuild these tables at will,
 * so they are looked at every CHECK_MS: with nftables by asking for the number of its generation,
 * which grows with each change by anybody and costs one system call; otherwise by listing the
 * chains. A listing on a node with very many rules is slow, and then made more seldom; what is done
 * once, choosing and changing, is not counted: a foreign change right after it is repaired as soon.
 */
import { FAMILIES, type IpFamily } from "../ip/address.ts";
import { backoffMs } from "../runtime/backoff.ts";
import type { Clock, Random } from "../runtime/clock.ts";
import type { Log } from "../runtime/log.ts";
import { PassLoop } from "../runtime/pass-loop.ts";
import {
  RETRY,
  RULES_CHECK_MS,
  RULES_PERIOD_MS,
  RULES_REPAIRS_MAX,
  RULES_REST_FACTOR,
} from "./limits.ts";
import {
  describeChanges,
  NO_RULES,
  type PresentRules,
  planRules,
  RULE_TABLES,
  type RuleChanges,
  type RulesWanted,
} from "./rules.ts";
import type { CniCondition } from "./types.ts";

/** iptables is missing or refused something; an adapter throws nothing else. */
export class PacketFilterError extends Error {
  override readonly name = "PacketFilterError";
  /** `missing`: there is no such program. `failed`: it ran and said no. */
  readonly code: "missing" | "failed";

  constructor(code: "missing" | "failed", message: string) {
    super(message);
    this.code = code;
  }
}

/** One of the two iptables that a machine may have. May reject: {@link PacketFilterError}. */
export interface PacketFilter {
  /** `iptables v1.8.9 (nf_tables)`. */
  readonly version: string;
  readonly randomFully: boolean;
  /** `thorough`: also looks for a chain of ours that no rule leads to. */
  read(family: IpFamily, thorough: boolean): Promise<PresentRules>;
  /** Carries the lines out, a table at once or not at all. */
  change(family: IpFamily, table: keyof RuleChanges, lines: readonly string[]): Promise<void>;
  /** Another number after each change by anybody; undefined when there is no telling. */
  generation(): Promise<number | undefined>;
}

/** One that may hold rules of ours from an earlier run. */
export interface HoldingFilter {
  readonly filter: PacketFilter;
  /** In which it may; in the rest it may not even work. */
  readonly families: readonly IpFamily[];
}

/** Finds out which iptables the machine uses. May reject: {@link PacketFilterError}. */
export type ChoosePacketFilter = () => Promise<{
  readonly used: PacketFilter;
  /** The one that is not used; undefined where it holds nothing of ours. */
  readonly other: HoldingFilter | undefined;
  /** One of them would not say what it holds: it may do so later, and be the one to use. */
  readonly unsure?: boolean;
}>;

export type PodRulesWanted = Omit<RulesWanted, "randomFully"> & {
  /** Families that the node uses; in the others our rules are only removed, once. */
  readonly families: readonly IpFamily[];
};

export interface PodRulesOptions {
  readonly dryRun?: boolean;
}

export interface PodRulesDeps {
  readonly choose: ChoosePacketFilter;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Called after each pass that did or found something. Must not throw. */
  readonly onChanged?: () => void;
}

export class PodRules {
  readonly #dryRun: boolean;
  readonly #deps: PodRulesDeps;
  readonly #loop: PassLoop;
  #wanted: PodRulesWanted | undefined;
  #filter: PacketFilter | undefined;
  /** From when on the choice is made anew. */
  #unsureUntil = Number.POSITIVE_INFINITY;
  /** Until it was seen to. */
  #other: HoldingFilter | undefined;
  /** Wanted, as of the last complete check, and the generation before it. */
  #checked:
    | { readonly wanted: PodRulesWanted; readonly generation: number | undefined }
    | undefined;
  #checkedAt = 0;
  /** When a family that is not used is seen to; not there = at the next check. */
  readonly #unusedDue = new Map<IpFamily, number>();
  /** What the last listing of each family took, of those that the last check looked at. */
  readonly #listingMs = new Map<IpFamily, number>();
  #conditions: readonly CniCondition[] = [];
  #planned: readonly string[] = [];
  #failures = 0;
  #repairs = 0;
  /** When the last ones were, RULES_REPAIRS_MAX at most. */
  readonly #repairedAt: number[] = [];

  constructor(options: PodRulesOptions, deps: PodRulesDeps) {
    this.#dryRun = options.dryRun ?? false;
    this.#deps = deps;
    this.#loop = new PassLoop(deps.clock, () => this.#pass());
  }

  start(): void {
    this.#loop.start();
  }

  /** The rules stay: pods that run need them. */
  async stop(): Promise<void> {
    await this.#loop.stop();
  }

  want(wanted: PodRulesWanted): void {
    this.#wanted = wanted;
    this.#loop.request();
  }

  conditions(): readonly CniCondition[] {
    return this.#isContested() ? [...this.#conditions, CONTESTED] : this.#conditions;
  }

  /** What a dry run holds back, as one would type it. */
  planned(): readonly string[] {
    return this.#planned;
  }

  /** How often rules that had been right were found changed, and put right. */
  get repairs(): number {
    return this.#repairs;
  }

  async #pass(): Promise<number> {
    const wanted = this.#wanted;
    if (wanted === undefined) return RULES_PERIOD_MS;
    try {
      const anew = this.#deps.clock.now() >= this.#unsureUntil;
      if (this.#filter === undefined || anew) this.#filter = await this.#choose();
      const generation = await this.#filter.generation();
      if (this.#isCurrent(wanted, generation)) return RULES_CHECK_MS;
      await this.#check(this.#filter, wanted);
      this.#checked = { wanted, generation };
      this.#checkedAt = this.#deps.clock.now();
      this.#failures = 0;
    } catch (error) {
      if (!(error instanceof PacketFilterError)) throw error;
      this.#checked = undefined;
      // It may be installed meanwhile, or the other one be.
      if (error.code === "missing") this.#filter = undefined;
      this.#conditions = [failed(error)];
      this.#deps.onChanged?.();
      return backoffMs(RETRY, this.#failures++, this.#deps.random);
    }
    this.#deps.onChanged?.();
    const listingMs = [...this.#listingMs.values()].reduce((sum, ms) => sum + ms, 0);
    const restMs = Math.min(RULES_PERIOD_MS, listingMs * RULES_REST_FACTOR);
    return Math.max(RULES_CHECK_MS, restMs);
  }

  #isCurrent(wanted: PodRulesWanted, generation: number | undefined): boolean {
    return (
      generation !== undefined &&
      this.#checked?.generation === generation &&
      this.#checked.wanted === wanted &&
      this.#other === undefined &&
      this.#deps.clock.now() - this.#checkedAt < RULES_PERIOD_MS
    );
  }

  async #choose(): Promise<PacketFilter> {
    const { used, other, unsure } = await this.#deps.choose();
    const now = this.#deps.clock.now();
    this.#unsureUntil = unsure === true ? now + RULES_PERIOD_MS : Number.POSITIVE_INFINITY;
    // Also of one that would not say at first what it holds.
    if (other !== undefined && !this.#dryRun) this.#other = other;
    if (used.version === this.#filter?.version) return this.#filter;
    this.#deps.log.info({ iptables: used.version }, "packet filter chosen");
    if (other === undefined) this.#other = undefined;
    this.#checked = undefined;
    this.#unusedDue.clear();
    return used;
  }

  /** What an earlier run left in the other iptables goes, once. Why not, if it cannot. */
  async #clearOther(): Promise<PacketFilterError | undefined> {
    if (this.#other === undefined) return undefined;
    const { filter, families } = this.#other;
    try {
      for (const family of families) {
        await this.#settle(filter, family, { rules: NO_RULES, message: "packet rules moved" });
      }
    } catch (error) {
      if (!(error instanceof PacketFilterError)) throw error;
      return error;
    }
    this.#other = undefined;
    return undefined;
  }

  /** Every family is seen to, even when another one fails. */
  async #check(filter: PacketFilter, wanted: PodRulesWanted): Promise<void> {
    const now = this.#deps.clock.now();
    const planned: string[] = [];
    let failure: PacketFilterError | undefined;
    this.#listingMs.clear();
    for (const family of FAMILIES) {
      const used = wanted.families.includes(family);
      // What an earlier run left in a family that is not used goes once.
      if (used) this.#unusedDue.delete(family);
      else if (now < (this.#unusedDue.get(family) ?? now)) continue;
      else this.#unusedDue.set(family, Number.POSITIVE_INFINITY);
      try {
        planned.push(...(await this.#checkFamily(filter, family, wanted, used)));
      } catch (error) {
        if (!(error instanceof PacketFilterError)) throw error;
        // A machine without the other family may well be without its iptables.
        if (used) failure ??= error;
        else this.#unusedDue.set(family, now + RULES_PERIOD_MS);
      }
    }
    // What begins while there are no rules goes on without them.
    failure ??= await this.#clearOther();
    if (failure !== undefined) throw failure;
    this.#planned = planned;
    this.#conditions = [];
  }

  /** In a dry run it gives what would be done. */
  async #checkFamily(
    filter: PacketFilter,
    family: IpFamily,
    wanted: PodRulesWanted,
    used: boolean,
  ): Promise<readonly string[]> {
    const rules = used ? { ...wanted, randomFully: filter.randomFully } : NO_RULES;
    if (this.#dryRun) {
      const present = await this.#list(filter, family, true);
      return describeChanges(family, planRules(family, rules, present));
    }
    // What is left in an unused family was never right.
    const repaired = used && this.#checked?.wanted === wanted;
    const message = repaired ? "packet rules repaired" : "packet rules set";
    const changed = await this.#settle(filter, family, { rules, message }, !repaired);
    if (changed && repaired) this.#noteRepair();
    return [];
  }

  #noteRepair(): void {
    this.#repairs++;
    this.#repairedAt.push(this.#deps.clock.now());
    if (this.#repairedAt.length > RULES_REPAIRS_MAX) this.#repairedAt.shift();
  }

  #isContested(): boolean {
    const [first] = this.#repairedAt;
    const many = this.#repairedAt.length === RULES_REPAIRS_MAX;
    return many && this.#deps.clock.now() - first! < RULES_PERIOD_MS;
  }

  async #list(filter: PacketFilter, family: IpFamily, thorough: boolean): Promise<PresentRules> {
    const begun = this.#deps.clock.now();
    const present = await filter.read(family, thorough);
    if (filter === this.#filter) this.#listingMs.set(family, this.#deps.clock.now() - begun);
    return present;
  }

  /** Brings one family in order; true when there was something to do. */
  async #settle(
    filter: PacketFilter,
    family: IpFamily,
    { rules, message }: { readonly rules: RulesWanted; readonly message: string },
    thorough = true,
  ): Promise<boolean> {
    const changes = planRules(family, rules, await this.#list(filter, family, thorough));
    const count = allLines(changes).length;
    if (count === 0) return false;
    for (const table of RULE_TABLES) {
      if (changes[table].length > 0) await filter.change(family, table, changes[table]);
    }
    const level = this.#isContested() ? "debug" : "info";
    this.#deps.log[level]({ family, lines: count, iptables: filter.version }, message);
    const left = allLines(planRules(family, rules, await this.#list(filter, family, thorough)));
    if (left.length > 0) {
      throw new PacketFilterError("failed", `${filter.version} does not keep: ${left[0]}`);
    }
    return true;
  }
}

function allLines(changes: RuleChanges): readonly string[] {
  return RULE_TABLES.flatMap((table) => changes[table]);
}

const CONTESTED: CniCondition = {
  name: "packet-rules-contested",
  severity: "warning",
  message:
    "another program undoes the packet rules for pods again and again, and they are put right " +
    "each time: is a second agent or a firewall manager at work here?",
};

function failed(error: PacketFilterError): CniCondition {
  return {
    name: error.code === "missing" ? "iptables-missing" : "packet-rules",
    severity: "error",
    message: `the packet rules for pods cannot be kept: ${error.message}`,
  };
}
