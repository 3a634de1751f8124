/**
 * What a few Nodes that came or went ask for, for the cost of these few. Pure.
 *
 * desired.ts and plan.ts say what that is for all Nodes; this is the same answer with less work,
 * and only where the last look at everything found it as it should be and nobody has changed
 * anything since: then what is not about these few is as it should be. In all other cases (the
 * first and the last tunnel of a family, names that are taken, things in the way) everything is
 * looked at. `step.property.test.ts` holds one against the other.
 */
import { FAMILIES, familyOf, type IpAddress } from "../ip/address.ts";
import {
  type DesiredOverlay,
  desiredOverlay,
  itemsOf,
  type Target,
  type TargetMemo,
} from "./desired.ts";
import type { HostState } from "./host-state.ts";
import { isOurDevice } from "./names.ts";
import { dropping } from "./plan.ts";
import {
  type Item,
  type OverlayOperation,
  type OverlaySettings,
  type OverlayWanted,
  sameContent,
} from "./types.ts";

export interface OverlayStep {
  /** Of the nodes that came, and nobody else. */
  readonly desired: DesiredOverlay;
  /** Nodes that have no tunnel and need none. */
  readonly direct: readonly IpAddress[];
  /** Addresses of no Node any more. */
  readonly gone: readonly IpAddress[];
  /** To take away what led to those. */
  readonly removal: readonly OverlayOperation[];
}

/**
 * @param touched addresses that Nodes got or lost
 * @param nodes addresses of all other Nodes now
 * @param memo of the last look at everything, and of the steps since
 * @returns undefined: everything is to be looked at
 */
export function stepOverlay(
  settings: OverlaySettings,
  { own, ownPodCidrs }: Pick<OverlayWanted, "own" | "ownPodCidrs">,
  host: HostState,
  touched: Iterable<IpAddress>,
  nodes: { has(address: IpAddress): boolean },
  memo: TargetMemo,
): OverlayStep | undefined {
  const came: IpAddress[] = [];
  const gone: IpAddress[] = [];
  const lost: Target[] = [];
  for (const node of touched) {
    const known = memo.targets.get(node);
    if (!nodes.has(node)) {
      gone.push(node);
      if (known !== undefined) lost.push(known);
    } else if (known === undefined) came.push(node);
  }
  const remotes = came.map((node) => ({ 4: undefined, 6: undefined, [familyOf(node)]: node }));
  const desired = desiredOverlay(settings, { own, ownPodCidrs, remotes }, host);
  const { targets } = desired;
  const removal = removalOf(lost, host, memo);
  if (removal === undefined || desired.problems.length > 0) return undefined;
  if (targets.some((target) => isInTheWay(target, host, memo))) return undefined;
  // The last of a family takes what all have in common with it.
  const isLast = FAMILIES.some((family) => {
    const count = lost.filter(({ node }) => familyOf(node) === family).length;
    return count > 0 && count === memo.count(family);
  });
  if (isLast) return undefined;
  const tunneled = new Set(targets.map(({ node }) => node));
  return { desired, direct: came.filter((node) => !tunneled.has(node)), gone, removal };
}

/** Whether what it needs is not free, by a name that two nodes share or by somebody else's. */
function isInTheWay(target: Target, host: HostState, memo: TargetMemo): boolean {
  const link = host.byName.get(target.device);
  // With VXLAN the device is there for others already.
  if (target.vtep === undefined) return link !== undefined;
  return (
    link === undefined || itemsOf(target, link.index, memo).some(([key]) => host.items.has(key))
  );
}

/** Undefined: not all that should be there is. */
function removalOf(
  targets: readonly Target[],
  host: HostState,
  memo: TargetMemo,
): readonly OverlayOperation[] | undefined {
  const items: Item[] = [];
  const deletions: OverlayOperation[] = [];
  for (const target of targets) {
    const link = host.byName.get(target.device);
    if (link === undefined) return undefined;
    if (target.vtep === undefined && isOurDevice(link)) {
      deletions.push({ kind: "delete-device", link });
      continue;
    }
    for (const [key, item] of itemsOf(target, link.index, memo)) {
      const there = host.items.get(key);
      if (there === undefined || there.foreign || !sameContent(there.item, item)) return undefined;
      items.push(item);
    }
  }
  return [...dropping(items), ...deletions];
}
