/** Few Nodes that come or go, on a kernel in memory. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { FAR, lab, VXLAN, want, wanted } from "./controller-lab.ts";
import { ip } from "./fake-overlay.ts";

test("a Node that came or went is followed without a look at all others", async (t) => {
  for (const encap of ["vxlan", "ipip"] as const) {
    const one = lab(t, { ...VXLAN, encap });
    await want(one, "192.168.51.50");
    // They are counted when that is first of use.
    const known = { 4: FAR, 6: undefined };
    one.overlay.want(wanted("192.168.51.50"), [{ before: known, after: known }]);
    await one.clock.advanceAsync(1);
    const unseen = {
      ...{ own: wanted().own, ownPodCidrs: wanted().ownPodCidrs },
      get remotes(): never {
        throw new Error("all Nodes were gone through");
      },
    };
    const other = { 4: ip("192.168.51.51"), 6: undefined };
    one.overlay.want(unseen, [{ before: undefined, after: other }]);
    assert.equal(one.overlay.way(other[4])?.ready, false, "not before it was made");
    await one.clock.advanceAsync(1);
    assert.equal(one.overlay.way(other[4])?.ready, true);
    assert.equal(one.overlay.status().tunnels[4], 2);
    // Of two that have one address the other one is left.
    one.overlay.want(unseen, [{ before: undefined, after: other }]);
    one.overlay.want(unseen, [{ before: other, after: undefined }]);
    await one.clock.advanceAsync(1);
    assert.equal(one.overlay.way(other[4])?.ready, true);
    one.overlay.want(unseen, [{ before: other, after: undefined }]);
    await one.clock.advanceAsync(1);
    assert.equal(one.overlay.way(other[4]), undefined);
    assert.equal(one.kernel.itemsOf("route").length, 1);
    assert.equal(one.overlay.status().tunnels[4], 1);
  }
});

test("a dry run does nothing either where all is as it should be, and a Node comes", async (t) => {
  const before = lab(t);
  await want(before, "192.168.51.50");
  const { kernel } = before;
  const one = lab(t, VXLAN, { kernel, dryRun: true });
  await want(one, "192.168.51.50");
  kernel.log = [];
  const after = { 4: ip("192.168.51.51"), 6: undefined };
  const both = wanted("192.168.51.50", "192.168.51.51");
  one.overlay.want(both, [{ before: undefined, after }]);
  await one.clock.advanceAsync(1);
  assert.deepEqual(kernel.log, []);
  assert.equal(one.overlay.planned().length, 3);
});
