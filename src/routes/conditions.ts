/** What keeps a route from being installed, in words for an operator; one for a prefix at most. */
import type { IpAddress } from "../ip/address.ts";
import type { Prefix } from "../ip/prefix.ts";
import { capabilityHint, someOf } from "../runtime/operator-text.ts";
import { describeRefusal, type GuardRefusal } from "./guards.ts";
import {
  CONDITIONS_KEPT_MAX,
  CONDITIONS_LISTED_MAX,
  CONDITIONS_OF_A_CAUSE_MAX,
  FOREIGN_NAMED_MAX,
} from "./limits.ts";
import type { KernelFailure } from "./ports.ts";
import type { PrefixId, PrefixIndex } from "./prefix-index.ts";
import { PrefixSet } from "./prefix-set.ts";
import { describeUnreachable, type Unreachable } from "./topology.ts";
import type { Hop, KernelRoute } from "./types.ts";

export type RouteConditionCode =
  | "route-refused"
  | "next-hop-not-reachable"
  | "foreign-route"
  | "kernel-error"
  | "more-routes"
  | "kernel-unavailable";

export interface RouteCondition {
  /** Stable, and unique among those of the routes: code and prefix. */
  readonly name: string;
  readonly code: RouteConditionCode;
  readonly severity: "warning" | "error";
  /** One sentence; no control characters. */
  readonly message: string;
  /** Undefined when it is about many routes. */
  readonly prefix: Prefix | undefined;
  readonly nextHops: readonly IpAddress[];
  /** What it comes from, in words, where that can make many conditions at once. */
  readonly cause?: string;
}

/** The route that a condition is about. */
interface Subject {
  readonly prefix: Prefix;
  readonly nextHops: readonly IpAddress[];
}

/** A default route is left to the machine's own, for as long as somebody announces one. */
export function refusedCondition(subject: Subject, refusal: GuardRefusal): RouteCondition {
  const severity = refusal.reason === "default-route" ? "warning" : "error";
  return about("route-refused", severity, subject, `refused: ${describeRefusal(refusal)}`);
}

/** `partial`: other next hops of the same route are in use. */
export function unreachableCondition(
  subject: Subject,
  nextHop: IpAddress,
  why: Unreachable,
  partial: boolean,
): RouteCondition {
  const effect = partial ? "installed without one next hop" : "not installed";
  const reason = describeUnreachable(why);
  const text = `${effect}: next hop ${nextHop} not reachable: ${reason}`;
  const condition = about("next-hop-not-reachable", "warning", subject, text);
  return { ...condition, cause: `${effect}: next hop not reachable: ${reason}` };
}

/** `foreign` is empty when the kernel says that one is there, but it was not seen yet. */
export function foreignCondition(
  subject: Subject,
  foreign: readonly KernelRoute[],
  linkName: (index: number) => string,
): RouteCondition {
  const routes = foreign.map((route) => describeRoute(route, linkName));
  const which = routes.length > 0 ? `: ${someOf(routes, FOREIGN_NAMED_MAX)}` : "";
  const text = `not installed: a foreign route is in its place${which}`;
  return about("foreign-route", "warning", subject, text);
}

export function kernelErrorCondition(subject: Subject, failure: KernelFailure): RouteCondition {
  return about("kernel-error", "error", subject, `not right in the kernel: ${failure.message}`);
}

/** About all routes. */
export function unavailableCondition(failure: KernelFailure): RouteCondition {
  return {
    name: "kernel-unavailable",
    code: "kernel-unavailable",
    severity: "error",
    message: `routes cannot be kept up: ${failure.message}${capabilityHint(failure.code)}`,
    prefix: undefined,
    nextHops: [],
  };
}

/** As `ip route` would write it, without the prefix: `via 192.168.50.1 dev enp1s0 proto static`. */
export function describeRoute(route: KernelRoute, linkName: (index: number) => string): string {
  const hops = route.hops.map((hop) => describeHop(hop, linkName)).join(" and ");
  const protocol = PROTOCOL_NAMES.get(route.protocol) ?? String(route.protocol);
  const metric = route.metric === 0 ? "" : ` metric ${route.metric}`;
  const { nextHopId } = route;
  const hidden = nextHopId === undefined ? "without next hop" : `nhid ${nextHopId}`;
  return `${hops === "" ? hidden : hops} proto ${protocol}${metric}`;
}

/** `via 192.168.50.51 dev enp1s0`. */
export function describeHop(hop: Hop, linkName: (index: number) => string): string {
  const via = hop.gateway === undefined ? "" : `via ${hop.gateway} `;
  return `${via}dev ${linkName(hop.link)}${hop.onLink === true ? " onlink" : ""}`;
}

/** linux/rtnetlink.h RTPROT_*, the names of iproute2. */
const PROTOCOL_NAMES: ReadonlyMap<number, string> = new Map([
  [0, "unspec"],
  [1, "redirect"],
  [2, "kernel"],
  [3, "boot"],
  [4, "static"],
  [9, "ra"],
  [11, "zebra"],
  [12, "bird"],
  [16, "dhcp"],
  [18, "keepalived"],
  [42, "babel"],
  [186, "bgp"],
  [187, "isis"],
  [188, "ospf"],
  [189, "rip"],
]);

function about(
  code: RouteConditionCode,
  severity: "warning" | "error",
  { prefix, nextHops }: Subject,
  text: string,
): RouteCondition {
  const message = `${prefix} via ${nextHops.join(", ")} is ${text}`;
  return { name: `${code} ${prefix}`, code, severity, message, prefix, nextHops };
}

/** One for many of a cause. `more`: there are others, of which the cause is not kept. */
function summary(cause: string, conditions: readonly RouteCondition[], more: boolean) {
  const [{ code, severity, prefix, nextHops }] = conditions as [RouteCondition];
  const count = `${conditions.length}${more ? " or more" : ""} routes are`;
  const message = `${count} ${cause} (${prefix} via ${nextHops.join(", ")} for one)`;
  return { name: `${code}: ${cause}`, code, severity, message, prefix: undefined, nextHops: [] };
}

interface Line {
  readonly condition: RouteCondition;
  /** That it is about. */
  readonly routes: number;
}

/** As many as are listed. `total`: of all routes that a condition is about. */
function cut(all: readonly Line[], total: number): readonly RouteCondition[] {
  const rank = ({ condition, routes }: Line) => {
    if (routes > 1) return 0;
    return condition.severity === "error" ? 1 : 2;
  };
  const listed = all.toSorted((a, b) => rank(a) - rank(b));
  const rest = listed.splice(CONDITIONS_LISTED_MAX - 1);
  const left = total - listed.reduce((sum, { routes }) => sum + routes, 0);
  const isError = rest.some(({ condition }) => condition.severity === "error");
  const more: RouteCondition = {
    name: "more-routes",
    code: "more-routes",
    severity: isError ? "error" : "warning",
    message: `and ${left} more routes are not as they should be`,
    prefix: undefined,
    nextHops: [],
  };
  return [...listed.map(({ condition }) => condition), more];
}

/**
 * The conditions that stand, by prefix. Of a full table none of which can be installed a bounded
 * number is kept whole, of the others the prefix: these count, and are looked at like the rest.
 */
export class ConditionBook {
  readonly #index: PrefixIndex;
  readonly #whole = new Map<PrefixId, RouteCondition>();
  readonly #others: PrefixSet;
  #version = 0;
  /** As it was listed last. */
  #listed: { readonly version: number; readonly conditions: readonly RouteCondition[] } | undefined;

  constructor(index: PrefixIndex) {
    this.#index = index;
    this.#others = new PrefixSet(index);
  }

  get total(): number {
    return this.#whole.size + this.#others.size;
  }

  /** Another number whenever something changed. */
  get version(): number {
    return this.#version;
  }

  has(id: PrefixId): boolean {
    return this.#whole.has(id) || this.#others.has(id);
  }

  /** Sets the condition of a prefix, or removes it. */
  set(id: PrefixId, condition: RouteCondition | undefined): void {
    if (condition === undefined) {
      this.#remove(id);
      return;
    }
    const known = this.#whole.get(id);
    if (known?.message === condition.message) return;
    if (known === undefined && this.#whole.size >= CONDITIONS_KEPT_MAX) {
      if (this.#others.add(id)) this.#version++;
      return;
    }
    if (known === undefined) this.#index.hold(id);
    this.#others.delete(id);
    this.#whole.set(id, condition);
    this.#version++;
  }

  /** Undefined also for one that is not kept whole. */
  get(id: PrefixId): RouteCondition | undefined {
    return this.#whole.get(id);
  }

  /** Those whose next hop is not reachable, and among these; and those of which it is not known. */
  *waitingFor(nextHops: ReadonlySet<IpAddress>): Generator<PrefixId, void> {
    for (const [id, { code, nextHops: own }] of this.#whole) {
      if (code === "next-hop-not-reachable" && own.some((one) => nextHops.has(one))) yield id;
    }
    yield* this.#others.ids();
  }

  /**
   * Oldest first, those of a cause together when there are many. When that is too much to list, it
   * is those lines for many and errors first, and the last says how many more there are.
   */
  list(): readonly RouteCondition[] {
    if (this.#listed?.version === this.#version) return this.#listed.conditions;
    const byCause = new Map<string, RouteCondition[]>();
    for (const condition of this.#whole.values()) {
      const cause = condition.cause ?? condition.name;
      const known = byCause.get(cause);
      if (known === undefined) byCause.set(cause, [condition]);
      else known.push(condition);
    }
    const more = this.#others.size > 0;
    const all = [...byCause].flatMap(([cause, conditions]): readonly Line[] => {
      if (conditions.length <= CONDITIONS_OF_A_CAUSE_MAX) {
        return conditions.map((condition) => ({ condition, routes: 1 }));
      }
      return [{ condition: summary(cause, conditions, more), routes: conditions.length }];
    });
    // Lines for many say that there may be others; without one nobody else does.
    const untold = more && !all.some(({ routes }) => routes > 1);
    const conditions =
      all.length <= CONDITIONS_LISTED_MAX && !untold
        ? all.map(({ condition }) => condition)
        : cut(all, this.total);
    this.#listed = { version: this.#version, conditions };
    return conditions;
  }

  #remove(id: PrefixId): void {
    if (this.total === 0) return;
    if (this.#whole.delete(id)) this.#index.release(id);
    else if (!this.#others.delete(id)) return;
    this.#version++;
  }
}
