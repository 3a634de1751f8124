/**
 * A dry run: what would be done, and when to look again. It is not kept up change by change, which
 * would need memory for each route: all routes are compared anew when what is wanted has come to
 * rest. So a dry run takes a full table in without a thought for the kernel, and then thinks once.
 */
import { describeHop, describeRoute } from "./conditions.ts";
import { PLANNED_LISTED_MAX, SURVEY_QUIET_MS, SURVEY_WAIT_MAX_MS } from "./limits.ts";
import type { OperationBatch } from "./operation-batch.ts";
import type { RouteOperation } from "./types.ts";

interface Findings {
  readonly listed: RouteOperation[];
  total: number;
}

export class Survey {
  #found: Findings = { listed: [], total: 0 };
  /** Of the comparison under way; undefined when there is none. */
  #finding: Findings | undefined;
  /** What was found, in words; made when it is asked for. */
  #words: readonly string[] | undefined;
  /** Since when there are changes that no comparison has seen. */
  #changedSince: number | undefined;
  #lastChange = Number.NEGATIVE_INFINITY;

  /** Something changed. */
  changed(now: number): void {
    this.#changedSince ??= now;
    this.#lastChange = now;
  }

  /** Whether changes wait to be seen. */
  get isWanted(): boolean {
    return this.#changedSince !== undefined;
  }

  /** From when on it may be worked. */
  get workFrom(): number {
    if (this.#changedSince === undefined) return this.#lastChange;
    const lasted = this.#lastChange - this.#changedSince;
    const quietFrom = this.#lastChange + lasted + SURVEY_QUIET_MS;
    return Math.min(quietFrom, this.#changedSince + SURVEY_WAIT_MAX_MS);
  }

  /** A comparison of all routes begins. */
  begin(): void {
    this.#finding = { listed: [], total: 0 };
    this.#changedSince = undefined;
  }

  /** What the comparison would do about some prefixes. */
  add(batch: OperationBatch): void {
    if (this.#finding === undefined) return;
    const { listed } = this.#finding;
    this.#finding.total += batch.count;
    for (let row = 0; row < batch.count && listed.length < PLANNED_LISTED_MAX; row++) {
      listed.push(batch.operation(row));
    }
  }

  /** The comparison has seen all. */
  end(): void {
    this.#found = this.#finding ?? this.#found;
    this.#finding = undefined;
    this.#words = undefined;
  }

  /** What the last comparison found, in the words of `ip route`. */
  planned(linkName: (index: number) => string): {
    readonly planned: readonly string[];
    readonly plannedTotal: number;
  } {
    const { listed, total } = this.#found;
    this.#words ??= listed.map((entry) => describe(entry, linkName));
    return { planned: this.#words, plannedTotal: total };
  }
}

function describe(operation: RouteOperation, linkName: (index: number) => string): string {
  const { kind, prefix } = operation;
  if (operation.kind === "delete") {
    return `${kind} ${prefix} ${describeRoute(operation.route, linkName)}`;
  }
  const hops = operation.hops.map((hop) => describeHop(hop, linkName)).join(" and ");
  return `${kind} ${prefix} ${hops} proto 17`;
}
