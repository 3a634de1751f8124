/** What to do about one set: `plan(desired, actual)`. Pure. */
import { sizeFor } from "./desired.ts";
import type { ActualHeader, ActualSet, DesiredSet, SetParameters } from "./types.ts";

export type SetPlan =
  | { readonly kind: "none" }
  /** There is none: make it and add all. */
  | { readonly kind: "create"; readonly parameters: SetParameters; readonly add: readonly string[] }
  /**
   * It cannot be brought right by members alone: make another one, fill it and exchange the two, so
   * that whatever refers to the name refers to the new one, and at no moment to an empty one.
   */
  | {
      readonly kind: "rebuild";
      readonly parameters: SetParameters;
      readonly add: readonly string[];
      readonly why: string;
    }
  /** Additions come first: a member that moves is never missing from both. */
  | { readonly kind: "update"; readonly add: readonly string[]; readonly remove: readonly string[] }
  /** Somebody else's set has the name; nothing is done. */
  | { readonly kind: "conflict"; readonly why: string };

/** Why a set of our name cannot become ours, or undefined when it can. */
export function conflictOf(
  desired: Pick<DesiredSet, "type" | "family">,
  actual: ActualHeader,
): string | undefined {
  if (actual.type === desired.type && actual.family === desired.family) return undefined;
  const family = actual.family === 6 ? "inet6" : "inet";
  const wanted = desired.family === 6 ? "inet6" : "inet";
  return `it is of type ${actual.type} family ${family}, not ${desired.type} family ${wanted}`;
}

/** @param actual undefined when there is no set of that name */
export function planSet(desired: DesiredSet, actual: ActualSet | undefined): SetPlan {
  const { name, type, family } = desired;
  const parameters = {
    name,
    type,
    family,
    hashSize: desired.hashSize,
    maxElements: desired.maxElements,
  };
  if (actual === undefined) return { kind: "create", parameters, add: [...desired.members] };
  const conflict = conflictOf(desired, actual);
  if (conflict !== undefined) return { kind: "conflict", why: conflict };
  const rebuild = (why: string) => ({
    kind: "rebuild" as const,
    parameters,
    add: [...desired.members],
    why,
  });
  if (!actual.plain) return rebuild("it was made with other options");
  if (actual.maxElements < desired.maxElements) {
    return rebuild(`it holds ${actual.maxElements} members at most`);
  }
  const add: string[] = [];
  for (const member of desired.members) if (actual.members.get(member) !== true) add.push(member);
  const remove: string[] = [];
  for (const member of actual.members.keys()) if (!desired.members.has(member)) remove.push(member);
  if (add.length === 0 && remove.length === 0) return { kind: "none" };
  if (actual.members.size + add.length > actual.maxElements && remove.length > 0) {
    // Old and new together do not fit.
    return { ...rebuild("it is full"), parameters: { ...parameters, ...roomFor(actual, desired) } };
  }
  return { kind: "update", add, remove };
}

/** What a pass of ours left in a set. */
export interface LeftSet {
  readonly maxElements: number;
  readonly members: Set<string>;
}

/**
 * The difference to what a pass of ours left in the set, while nobody has touched it since:
 * undefined when that does not decide it, and the set must be read. `touched`: all members that may
 * have come or gone; undefined = any.
 */
export function planChange(
  desired: DesiredSet,
  left: LeftSet,
  touched?: ReadonlySet<string>,
): Extract<SetPlan, { readonly kind: "none" | "update" }> | undefined {
  if (left.maxElements < desired.maxElements) return undefined;
  const add: string[] = [];
  for (const member of touched ?? desired.members) {
    if (desired.members.has(member) && !left.members.has(member)) add.push(member);
  }
  const remove: string[] = [];
  for (const member of touched ?? left.members) {
    if (left.members.has(member) && !desired.members.has(member)) remove.push(member);
  }
  if (add.length === 0 && remove.length === 0) return { kind: "none" };
  if (left.members.size + add.length > left.maxElements) return undefined;
  return { kind: "update", add, remove };
}

/** At least the room that it has now. */
function roomFor(actual: ActualSet, desired: DesiredSet) {
  const { hashSize, maxElements } = sizeFor(desired.members.size);
  return { hashSize, maxElements: Math.max(maxElements, actual.maxElements) };
}
