/**
 * What must be done so that the tunnels are as they should be: `desired - actual` in one pass over
 * each, so that what did not change costs no word with the kernel. Pure.
 *
 * Order. First devices, then what leads through them, and the rules last: packets are sent into a
 * tunnel only when it is whole. Away goes in the opposite order. What leads to a node that is gone
 * goes at once, as soon as all Nodes are known. All else that is there too much (a node that is in
 * a local subnet now, another encapsulation, the overlay switched off) goes only when `settled`:
 * when the routes have left it.
 *
 * Devices and items that are not ours are never touched; see {@link isOurDevice}.
 */
import { FAMILIES, familyOf, type IpFamily } from "../ip/address.ts";
import { prefixAddress, prefixFamily } from "../ip/prefix.ts";
import { type DesiredOverlay, itemsOf, type OverlayProblem, TargetMemo } from "./desired.ts";
import type { HostState } from "./host-state.ts";
import { isOurDevice, vtepMac } from "./names.ts";
import {
  DEVICE_ALIAS,
  type Device,
  type HostItem,
  type HostLink,
  type Item,
  itemKey,
  linkOf,
  type OverlayOperation,
  type OverlayWanted,
  sameContent,
} from "./types.ts";

export interface OverlayPlan {
  readonly operations: readonly OverlayOperation[];
  /** Something is there too much, but may not go yet. */
  readonly waiting: boolean;
  readonly problems: readonly OverlayProblem[];
}

type Change = (OverlayOperation & { readonly kind: "set-device" })["change"];

export function planOverlay(
  desired: DesiredOverlay,
  wanted: OverlayWanted,
  host: HostState,
  settled: boolean,
  memo: TargetMemo = new TargetMemo(),
): OverlayPlan {
  const lacking = planLacking(desired, host, memo);
  const surplus = planSurplus(desired, lacking.items, wanted, host, settled, memo);
  return {
    operations: [...lacking.operations, ...surplus.operations],
    waiting: surplus.waiting,
    problems: lacking.problems,
  };
}

/** What is desired and not there, or not as it should be. `items`: all that are desired, by key. */
export function planLacking(
  desired: DesiredOverlay,
  host: HostState,
  memo: TargetMemo,
): Pick<OverlayPlan, "operations" | "problems"> & { readonly items: ReadonlyMap<string, Item> } {
  const operations: OverlayOperation[] = [];
  const problems: OverlayProblem[] = [];
  const usable = new Map<string, HostLink>();
  for (const device of desired.devices.values()) {
    const link = host.byName.get(device.name);
    if (link !== undefined && sameTunnel(link, device)) {
      usable.set(device.name, link);
      if (!device.borrowed) operations.push(...adjust(link, device));
    } else {
      if (link !== undefined) operations.push({ kind: "delete-device", link });
      operations.push({ kind: "create-device", device });
    }
  }
  const items = desiredItems(desired, usable, memo);
  for (const [key, item] of items) {
    const there = host.items.get(key);
    if (there?.foreign === true) {
      if (!sameContent(there.item, item)) problems.push(foreignItem(item));
    } else if (there === undefined || !sameContent(there.item, item)) {
      operations.push({ kind: "put", item, replaces: there !== undefined });
    }
  }
  return { operations, problems, items };
}

/** By key. Those of devices that are not there yet come in the next round. */
function desiredItems(
  desired: DesiredOverlay,
  usable: ReadonlyMap<string, HostLink>,
  memo: TargetMemo,
): ReadonlyMap<string, Item> {
  const items = new Map<string, Item>();
  const families = new Set<IpFamily>();
  for (const target of desired.targets) {
    const device = desired.devices.get(target.device);
    const link = usable.get(target.device);
    // A device that is down takes no route.
    if (device === undefined || link === undefined || !link.up) continue;
    for (const [key, item] of itemsOf(target, link.index, memo)) items.set(key, item);
    families.add(familyOf(target.node));
  }
  for (const from of desired.podCidrs) {
    if (!families.has(prefixFamily(from))) continue;
    const rule = { kind: "rule", from } as const;
    items.set(itemKey(rule), rule);
  }
  return items;
}

function planSurplus(
  desired: DesiredOverlay,
  items: ReadonlyMap<string, Item>,
  wanted: OverlayWanted,
  host: HostState,
  settled: boolean,
  memo: TargetMemo,
): Pick<OverlayPlan, "operations" | "waiting"> {
  // Most often nothing is there too much, and nobody asks.
  let names: ReadonlySet<string> | undefined;
  const known = () => {
    names ??= knownNames(wanted, memo);
    return names;
  };
  const complete = wanted.complete !== false;
  const unused = settled && complete;
  const isOfGone = (item: Item) => complete && leadsNowhere(item, known());
  const drops: Item[] = [];
  const deletions: OverlayOperation[] = [];
  let waiting = false;
  const going = new Set<number>();
  for (const link of host.links.values()) {
    if (!isOurDevice(link) || desired.devices.has(link.name)) continue;
    const gone = complete && link.remote !== undefined && !known().has(link.remote);
    if (!unused && !gone) {
      waiting = true;
      continue;
    }
    going.add(link.index);
    deletions.push({ kind: "delete-device", link });
  }
  for (const [key, { item, foreign }] of host.items) {
    if (foreign || items.has(key) || going.has(linkOf(item) ?? -1)) continue;
    if (awaited(item, desired, host)) continue;
    if (unused || isOfGone(item)) drops.push(item);
    else waiting = true;
  }
  return { operations: [...dropping(drops), ...deletions], waiting };
}

const DROP_ORDER = { rule: 0, route: 1, neighbour: 2, forwarding: 3 } as const;

/** What leads into a tunnel goes before the tunnel. */
export function dropping(items: readonly Item[]): readonly OverlayOperation[] {
  return items
    .toSorted((a, b) => DROP_ORDER[a.kind] - DROP_ORDER[b.kind])
    .map((item) => ({ kind: "drop", item }));
}

/** Its device is only down or being made again: the item will be wanted in a moment. */
function awaited(item: Item, desired: DesiredOverlay, host: HostState): boolean {
  if (item.kind === "rule") return desired.podCidrs.includes(item.from);
  const index = linkOf(item);
  const link = index === undefined ? undefined : host.links.get(index);
  if (link === undefined || link.up) return false;
  return desired.devices.has(link.name);
}

/** Addresses and MACs of all other Nodes. */
function knownNames({ remotes }: OverlayWanted, memo: TargetMemo): ReadonlySet<string> {
  const known = new Set<string>();
  for (const remote of remotes) {
    for (const family of FAMILIES) {
      const node = remote[family];
      if (node === undefined) continue;
      known.add(node);
      known.add(memo.targets.get(node)?.vtep?.mac ?? vtepMac(node));
    }
  }
  return known;
}

/** Whether no Node has to do with it any more. */
function leadsNowhere(item: Item, known: ReadonlySet<string>): boolean {
  switch (item.kind) {
    case "forwarding":
      return !known.has(item.remote);
    case "neighbour":
      return !known.has(item.mac);
    case "route":
      return !known.has(prefixAddress(item.prefix));
    case "rule":
      return false;
  }
}

/** Whether a device is the one wanted in all that cannot be changed; false for one of others. */
function sameTunnel(link: HostLink, device: Device): boolean {
  return (
    link.kind === device.kind &&
    link.local === device.local &&
    link.remote === device.remote &&
    link.vni === device.vxlan?.vni &&
    link.port === device.vxlan?.port &&
    link.unfit !== true
  );
}

function adjust(link: HostLink, device: Device): readonly OverlayOperation[] {
  const { mtu, up, alias, mac, advertised, tuned } = link;
  const change: Change = {
    ...(mtu === device.mtu ? {} : { mtu: device.mtu }),
    ...(up ? {} : { up: true }),
    ...(alias === DEVICE_ALIAS ? {} : { alias: DEVICE_ALIAS }),
    ...(device.vxlan === undefined || mac === device.vxlan.mac ? {} : { mac: device.vxlan.mac }),
    ...(advertised === true ? { advertised: false } : {}),
    ...(tuned === true ? { tuned: false } : {}),
  };
  return Object.keys(change).length === 0 ? [] : [{ kind: "set-device", link, change }];
}

function foreignItem(item: Item): OverlayProblem {
  const what = item.kind === "route" ? `a route for ${item.prefix}` : `a ${item.kind}`;
  const six = item.kind === "route" && prefixFamily(item.prefix) === 6 ? " -6" : "";
  return {
    name: `overlay-table ${itemKey(item)}`,
    severity: "warning",
    message:
      `table 77 has ${what} that is somebody else's (kube-router leaves such): it is left as it ` +
      "is, and answers of pods may take another way; remove it with " +
      `\`ip${six} route flush table 77\``,
  };
}

/** Whether everything that a node's tunnel needs is there. */
export function isWhole(
  desired: DesiredOverlay,
  target: DesiredOverlay["targets"][number],
  host: HostState,
  memo: TargetMemo,
): HostLink | undefined {
  const device = desired.devices.get(target.device);
  const link = device === undefined ? undefined : host.byName.get(target.device);
  if (device === undefined || link === undefined || !link.up || !sameTunnel(link, device)) {
    return undefined;
  }
  const whole = itemsOf(target, link.index, memo).every(([key, item]) => {
    // Table 77 is for answers: without it the way there is still open.
    if (item.kind === "route") return true;
    const there: HostItem | undefined = host.items.get(key);
    return there !== undefined && !there.foreign && sameContent(there.item, item);
  });
  return whole ? link : undefined;
}
