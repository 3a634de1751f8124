/** What others do to a tunnel while the kernel is changing it for us. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { OVERLAY_GAP_MS } from "../../src/overlay/limits.ts";
import type { OverlayEvent } from "../../src/overlay/ports.ts";
import { itemKey } from "../../src/overlay/types.ts";
import { FAR, type Lab, lab, want } from "./controller-lab.ts";
import { ip } from "./fake-overlay.ts";

const SECOND = "192.168.51.51";
const DEVICE = "podrouter-vx4";

/**
 * Has `act` run between what the kernel does next and its answer, and says what the kernel tells:
 * that, and `first` before it begins.
 */
function during(
  one: Lab,
  act: () => readonly OverlayEvent[],
  first: readonly OverlayEvent[] = [],
): void {
  const apply = one.kernel.apply.bind(one.kernel);
  one.kernel.apply = async (operations) => {
    one.kernel.apply = apply;
    for (const event of first) one.kernel.listener?.onEvent(event);
    const outcomes = await apply(operations);
    for (const event of act()) one.kernel.listener?.onEvent(event);
    return outcomes;
  };
}

const forwarding = (one: Lab) => one.kernel.itemsOf("forwarding");

test("an entry that somebody removes before we hear that it is there is back at once", async (t) => {
  const one = lab(t);
  await want(one, FAR);
  during(one, () => {
    const item = forwarding(one).find(({ remote }) => remote === ip(SECOND))!;
    one.kernel.items.delete(itemKey(item));
    const { link } = item;
    return [
      { kind: "entry", link, change: "new", item },
      { kind: "entry", link, change: "delete", item },
    ];
  });
  await want(one, FAR, SECOND);
  assert.equal(forwarding(one).length, 1);
  await one.clock.advanceAsync(OVERLAY_GAP_MS);
  assert.equal(forwarding(one).length, 2);
});

test("a device that somebody switches off, or removes, before we hear of it is back at once", async (t) => {
  for (const change of ["new", "delete"] as const) {
    const one = lab(t);
    await want(one, FAR);
    const { index } = one.kernel.link(DEVICE)!;
    const narrow = { ...one.kernel.link(DEVICE)!, mtu: 1300 };
    one.kernel.addLink(narrow);
    one.kernel.listener?.onEvent({ kind: "link", change: "new", link: narrow });
    during(one, () => {
      const link = { ...one.kernel.link(DEVICE)!, up: false };
      if (change === "new") one.kernel.addLink(link);
      else one.kernel.remove(DEVICE);
      return [{ kind: "link", change, link }];
    });
    await one.clock.advanceAsync(OVERLAY_GAP_MS);
    await one.clock.advanceAsync(OVERLAY_GAP_MS);
    assert.equal(one.kernel.link(DEVICE)?.up, true);
    assert.equal(one.kernel.link(DEVICE)?.index === index, change === "new");
    assert.equal(one.overlay.way(FAR)?.ready, true);
  }
});

test("what the kernel tells of our own changes costs no look at everything", async (t) => {
  const one = lab(t);
  await want(one, FAR);
  const { reads } = one.kernel;
  during(one, () => {
    const entry = forwarding(one).find(({ remote }) => remote === ip(SECOND))!;
    const link = one.kernel.link(DEVICE)!;
    return [
      {
        kind: "entry",
        link: link.index,
        change: "delete",
        item: { ...entry, remote: ip("10.9.9.9") },
      },
      { kind: "entry", link: link.index, change: "new", item: entry },
      { kind: "link", change: "new", link },
    ];
  });
  await want(one, FAR, SECOND);
  await one.clock.advanceAsync(2 * OVERLAY_GAP_MS);
  assert.equal(one.kernel.reads, reads);
  // It is told to be down before it goes.
  const down = { ...one.kernel.link(DEVICE)!, up: false };
  during(one, () => [], [{ kind: "link", change: "new", link: down }]);
  await want(one);
  assert.equal(one.kernel.link(DEVICE), undefined);
  await one.clock.advanceAsync(2 * OVERLAY_GAP_MS);
  assert.equal(one.kernel.reads, reads);
});
