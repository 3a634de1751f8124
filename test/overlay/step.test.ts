/** Few Nodes that come or go, on a kernel in memory. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { IpAddress } from "../../src/ip/address.ts";
import { OVERLAY_GAP_MS } from "../../src/overlay/limits.ts";
import type { FamilyAddresses, OverlayWanted } from "../../src/overlay/types.ts";
import { FAR, lab, VXLAN, want, wanted } from "./controller-lab.ts";
import { FakeOverlay, ip, NIC } from "./fake-overlay.ts";

/** `own`: the node's IPv6 address, beside its IPv4 one. */
function withRemotes(own: IpAddress | undefined, ...more: FamilyAddresses[]): OverlayWanted {
  const { own: plain, remotes, ...rest } = wanted("192.168.51.50");
  return { ...rest, own: { ...plain, 6: own }, remotes: [...remotes, ...more] };
}

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
    one.told.length = 0;
    await one.clock.advanceAsync(1);
    assert.equal(one.overlay.way(other[4])?.ready, true);
    assert.deepEqual(one.told, [[other[4]]]);
    assert.equal(one.overlay.status().tunnels[4], 2);
    // Of two that have one address the other one is left.
    one.overlay.want(unseen, [{ before: undefined, after: other }]);
    one.overlay.want(unseen, [{ before: other, after: undefined }]);
    await one.clock.advanceAsync(1);
    assert.equal(one.overlay.way(other[4])?.ready, true);
    one.overlay.want(unseen, [{ before: other, after: undefined }]);
    await one.clock.advanceAsync(1);
    assert.equal(one.overlay.way(other[4]), undefined);
    // With its device routes go without a word.
    assert.deepEqual(one.told.slice(1), encap === "vxlan" ? [] : ["all"]);
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

/** With tunnels that kube-router has left, which come with no device of ours. */
function machine(...remotes: readonly IpAddress[]): FakeOverlay {
  const kernel = new FakeOverlay(["192.168.50.50/24", `${OWN}/64`]);
  for (const [at, remote] of remotes.entries()) {
    const link = { ...NIC, index: 50 + at, name: `tun-${at}`, kind: "ip6tnl" };
    kernel.addLink({ ...link, local: OWN, remote });
  }
  return kernel;
}

const OWN = ip("fd00::50");
const IPIP_FIRST = { ...VXLAN, type: "full", encap: "ipip" } as const;

test("where tunnels go first, a Node without one is told of, and one that then gets one", async (t) => {
  const far = { 4: undefined, 6: ip("fd00:51::1") };
  const one = lab(t, IPIP_FIRST, { kernel: machine(far[6]) });
  one.overlay.want(withRemotes(undefined));
  await one.clock.advanceAsync(1);
  one.told.length = 0;
  one.overlay.want(withRemotes(undefined, far), [{ before: undefined, after: far }]);
  assert.equal(one.overlay.way(far[6])?.ready, false, "nobody has looked yet");
  await one.clock.advanceAsync(1);
  assert.equal(one.overlay.way(far[6]), undefined);
  assert.deepEqual(one.told, [[far[6]]]);
  // Routes that lead there directly wait for nothing.
  one.overlay.want(withRemotes(OWN, far));
  await one.clock.advanceAsync(1);
  assert.equal(one.overlay.way(far[6])?.ready, true);
  assert.deepEqual(one.told.slice(1), ["all"]);
});

test("a Node that had no tunnel and is gone is as any other when it comes back", async (t) => {
  const far = { 4: undefined, 6: ip("fd00:51::1") };
  const one = lab(t, IPIP_FIRST, { kernel: machine(far[6]) });
  one.overlay.want(withRemotes(undefined));
  await one.clock.advanceAsync(1);
  for (const [before, after] of [[undefined, far] as const, [far, undefined] as const]) {
    one.overlay.want(withRemotes(undefined, ...(after === undefined ? [] : [after])), [
      { before, after },
    ]);
    await one.clock.advanceAsync(1);
  }
  one.told.length = 0;
  one.overlay.want(withRemotes(OWN, far));
  await one.clock.advanceAsync(1);
  assert.deepEqual(one.told, [[far[6]]]);
});

test("a Node that comes while all are looked at keeps nothing from the others' routes", async (t) => {
  const one = lab(t, { ...VXLAN, type: "full" });
  await want(one, "192.168.51.50");
  const { kernel, overlay } = one;
  // Without an IPv6 address of its own a node has no tunnel to these.
  const direct = ip("fd00::51");
  const late = { 4: ip("192.168.51.52"), 6: undefined };
  const first = wanted("192.168.51.50", "192.168.51.51");
  const all = { ...first, remotes: [...first.remotes, { 4: undefined, 6: direct }] };
  kernel.refuses = () => {
    kernel.refuses = () => false;
    const more = { ...all, remotes: [...all.remotes, late] };
    overlay.want(more, [{ before: undefined, after: late }]);
    return false;
  };
  overlay.want(all);
  assert.equal(overlay.way(direct)?.ready, false, "it is not decided yet");
  one.told.length = 0;
  await one.clock.advanceAsync(1);
  assert.equal(overlay.way(late[4])?.ready, true);
  assert.equal(overlay.way(direct), undefined);
  const last = one.told.findLastIndex((news) => news !== "all" && news.includes(direct));
  assert.notEqual(last, -1, "what waits for it is told");
});

test("as long as Nodes may be missing, what leads to one that went stays", async (t) => {
  const one = lab(t);
  const known = { ...wanted("192.168.51.50", "192.168.51.51"), complete: false };
  one.overlay.want(known);
  await one.clock.advanceAsync(1);
  const after = { ...wanted("192.168.51.50"), complete: false };
  const gone = { 4: ip("192.168.51.51"), 6: undefined };
  one.overlay.want(after, [{ before: gone, after: undefined }]);
  await one.clock.advanceAsync(1);
  assert.equal(one.kernel.itemsOf("forwarding").length, 2);
  one.overlay.want({ ...after, complete: true });
  await one.clock.advanceAsync(1);
  assert.equal(one.kernel.itemsOf("forwarding").length, 1);
});

test("an event in the middle of a step is gathered with others before all is read", async (t) => {
  const one = lab(t);
  await want(one, "192.168.51.50");
  const { kernel, overlay } = one;
  const { reads } = kernel;
  kernel.refuses = () => {
    kernel.refuses = () => false;
    kernel.listener?.onEvent({ kind: "table" });
    return false;
  };
  const after = { 4: ip("192.168.51.51"), 6: undefined };
  overlay.want(wanted("192.168.51.50", "192.168.51.51"), [{ before: undefined, after }]);
  await one.clock.advanceAsync(OVERLAY_GAP_MS - 1);
  assert.deepEqual([overlay.way(after[4])?.ready, kernel.reads], [true, reads]);
  await one.clock.advanceAsync(1);
  assert.equal(kernel.reads, reads + 1);
});
