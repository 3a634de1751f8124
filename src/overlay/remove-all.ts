/** Cleanup: finds and removes every tunnel, rule and route of table 77 that is ours. */
import { describeItem } from "./describe.ts";
import { isOurDevice } from "./names.ts";
import { GONE, type OverlayKernel } from "./ports.ts";
import { type HostDump, type Item, linkOf, type OverlayOperation } from "./types.ts";

export interface OwnOverlay {
  /** What will be removed, a line each. */
  readonly lines: readonly string[];
  readonly operations: readonly OverlayOperation[];
}

/** Changes nothing. Rejects with OverlayKernelError. */
export async function findOwnOverlay(kernel: Pick<OverlayKernel, "read">): Promise<OwnOverlay> {
  const dump = await kernel.read();
  const devices = dump.links.filter(isOurDevice);
  const going = new Set(devices.map(({ index }) => index));
  // Rules first: without them nothing is sent into a table that is being emptied.
  const items = [...own(dump, "rule"), ...own(dump, "route")];
  const dropped = items.filter((item) => !going.has(linkOf(item) ?? -1));
  const names = new Map(dump.links.map(({ index, name }) => [index, name]));
  return {
    lines: [
      ...items.map((item) => lineOf(item, names)),
      ...devices.map(({ name, kind }) => `tunnel ${name} (${kind})`),
    ],
    operations: [
      ...dropped.map((item) => ({ kind: "drop", item }) as const),
      ...devices.map((link) => ({ kind: "delete-device", link }) as const),
    ],
  };
}

/** Sentences about what is still there. Rejects with OverlayKernelError. */
export async function removeOwnOverlay(
  kernel: Pick<OverlayKernel, "apply">,
  { operations }: OwnOverlay,
): Promise<readonly string[]> {
  const outcomes = await kernel.apply(operations);
  return outcomes.flatMap((outcome, index) => {
    if (outcome.ok || GONE.has(outcome.code)) return [];
    const operation = operations[index];
    const what = operation?.kind === "delete-device" ? operation.link.name : operation?.kind;
    return [`${what}: ${outcome.message}`];
  });
}

function own({ items }: HostDump, kind: Item["kind"]): readonly Item[] {
  return items.flatMap(({ item, foreign }) => (item.kind === kind && !foreign ? [item] : []));
}

/** `rule from 10.233.0.0/24 lookup 77`. */
function lineOf(item: Item, names: ReadonlyMap<number, string>): string {
  const link = linkOf(item);
  const text = describeItem(item, "").replace("  ", " ");
  return link === undefined ? text : text.replace(`if${link}`, names.get(link) ?? `if${link}`);
}
