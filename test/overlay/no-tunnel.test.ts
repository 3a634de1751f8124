/** Far Nodes that get no tunnel: what an operator reads of their routes, and that it is of now. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { prefix } from "../../src/ip/prefix.ts";
import { CONDITIONS_MAX, OVERLAY_GAP_MS, RETRY } from "../../src/overlay/limits.ts";
import type { RemoteChange } from "../../src/overlay/remote-nodes.ts";
import type { OverlaySettings, OverlayWanted } from "../../src/overlay/types.ts";
import { Harness } from "../routes/harness.ts";
import { type Lab, lab, VXLAN } from "./controller-lab.ts";
import { FakeOverlay, FOREIGN_VXLAN, ip } from "./fake-overlay.ts";

/** Their SHA-256 begin with the same ten digits. */
const [FIRST, SECOND] = ["fd00:51::5:5ac2", "fd00:51::9:bfaa"];
const POD_CIDR = "fd00:10:233:42::/64";
const OWN = "fd00::50";
/** Long enough for a pass; there is no full comparison of the routes in it. */
const PASS_MS = 5;

/** Tunnels and routes of one machine, which the ones tell the others of. */
class Machine {
  readonly overlay: Lab;
  readonly routes: Harness;

  constructor(t: TestContext, settings: OverlaySettings, own: string) {
    this.overlay = lab(t, settings, { kernel: new FakeOverlay([`${own}/64`]) });
    this.routes = new Harness({}, this.overlay.overlay);
    const { kernel } = this.routes;
    // Gateways of IPv6 are link-local, on devices that the other kernel numbers from here on.
    for (let link = 100; link < 110; link++) {
      kernel.links = [...kernel.links, { index: link, name: `tunnel${link}`, up: true }];
      const linkLocal = { link, address: ip(`fe80::${link}`), subnet: prefix("fe80::/64") };
      kernel.addresses = [...kernel.addresses, linkLocal];
    }
  }

  want(wanted: OverlayWanted, changed?: readonly RemoteChange[]): void {
    this.overlay.overlay.want(wanted, changed);
  }

  async rest(ms = PASS_MS): Promise<void> {
    await this.overlay.clock.advanceAsync(ms);
    for (const news of this.overlay.told.splice(0)) {
      this.routes.controller.tunnelsChanged(news === "all" ? "all" : new Set(news));
    }
    await this.routes.rest();
  }

  /** What is said of the one route. */
  get words(): string {
    return this.routes.messages().replace(/^.* is not installed: /, "");
  }
}

const node = (text: string) => ({ 4: undefined, 6: ip(text) });

function wanted(own: string | undefined, ...remotes: readonly string[]): OverlayWanted {
  return {
    own: { 4: undefined, 6: own === undefined ? undefined : ip(own) },
    ownPodCidrs: [prefix("fd00:10:233:40::/64")],
    remotes: remotes.map(node),
  };
}

for (const encap of ["vxlan", "ipip"] as const) {
  test(`${encap}: of two with one short name the second's route says so, as long as it is`, async (t) => {
    const machine = new Machine(t, { ...VXLAN, encap }, OWN);
    machine.want(wanted(OWN, FIRST));
    await machine.routes.started();
    await machine.rest();
    machine.want(wanted(OWN, FIRST, SECOND), [{ before: undefined, after: node(SECOND) }]);
    // BGP has the route before there is a tunnel, as it mostly is.
    machine.routes.change(POD_CIDR, SECOND);
    await machine.routes.rest();
    assert.match(machine.words, /it is reached by a tunnel, which is not made yet/);
    await machine.rest();
    const why =
      `next hop ${SECOND} not reachable: it is in no subnet of this machine, and no tunnel leads ` +
      `there: the Node ${FIRST} has the same short name for its tunnel`;
    assert.equal(machine.words, why);
    // A Node that has nothing to do with it changes nothing, nor does a look in between.
    const other = node("fd00:51::1");
    machine.want(wanted(OWN, FIRST, SECOND, "fd00:51::1"), [{ before: undefined, after: other }]);
    machine.routes.change(POD_CIDR, SECOND);
    await machine.routes.rest();
    assert.equal(machine.words, why);
    await machine.rest();
    assert.equal(machine.words, why);
    machine.want(wanted(OWN, SECOND, "fd00:51::1"), [{ before: node(FIRST), after: undefined }]);
    await machine.rest();
    assert.equal(machine.words, "");
  });
}

test("without an own address nothing starts: the route says so, and of which address", async (t) => {
  const machine = new Machine(t, VXLAN, "fd00::9");
  machine.want(wanted(OWN, FIRST));
  machine.routes.change(POD_CIDR, FIRST);
  await machine.routes.started();
  await machine.rest();
  const missing =
    `next hop ${FIRST} not reachable: it is in no subnet of this machine, and no tunnel leads ` +
    `there: no interface has this Node's address ${OWN}, or one in a VRF only`;
  assert.equal(machine.words, missing);
  // It comes, it goes, and then the Node has none.
  const { kernel } = machine.overlay;
  const lacking = kernel.addresses;
  const event = { kind: "address", address: ip(OWN) } as const;
  for (const [addresses, words] of [
    [new FakeOverlay([`${OWN}/64`]).addresses, ""],
    [lacking, missing],
  ] as const) {
    kernel.addresses = addresses;
    kernel.listener?.onEvent(event);
    await machine.rest(OVERLAY_GAP_MS + PASS_MS);
    // What led through a tunnel that is left is looked for in the kernel, not too often.
    await machine.routes.rest(1000);
    assert.equal(machine.words, words);
  }
  machine.want(wanted(undefined, FIRST));
  await machine.rest();
  assert.match(machine.words, /no tunnel leads there: this Node has no IPv6 address$/);
});

test("a Node without an address of the family says so of each that comes, for its cost", async (t) => {
  const machine = new Machine(t, VXLAN, OWN);
  // They are counted when that is first of use.
  machine.want(wanted(undefined));
  machine.overlay.overlay.way(ip(FIRST));
  await machine.routes.started();
  await machine.rest();
  const { reads } = machine.overlay.kernel;
  const { remotes: _, ...rest } = wanted(undefined);
  const unseen = {
    ...rest,
    get remotes(): never {
      throw new Error("all Nodes were gone through");
    },
  };
  machine.want(unseen, [{ before: undefined, after: node(FIRST) }]);
  machine.routes.change(POD_CIDR, FIRST);
  await machine.routes.rest();
  assert.match(machine.words, /which is not made yet/);
  await machine.rest();
  assert.match(machine.words, /this Node has no IPv6 address$/);
  assert.equal(machine.overlay.kernel.reads, reads);
  machine.want(unseen, [{ before: node(FIRST), after: undefined }]);
  await machine.rest();
  assert.equal(machine.overlay.overlay.whyNone(ip(FIRST)), undefined, "nothing is kept of it");
});

test("a device that somebody else's is in the way of is not only not made yet", async (t) => {
  const machine = new Machine(t, VXLAN, OWN);
  const { kernel } = machine.overlay;
  const local = ip(OWN);
  const theirs = { ...FOREIGN_VXLAN, name: "podrouter-vx6", local, vni: 5 };
  kernel.addLink(theirs);
  machine.want(wanted(OWN, FIRST));
  machine.routes.change(POD_CIDR, FIRST);
  await machine.routes.started();
  await machine.rest();
  const start = `next hop ${FIRST} not reachable: it is reached by a tunnel, which cannot be made: `;
  assert.equal(machine.words, `${start}podrouter-vx6 is somebody else's`);
  // Other words for the same Nodes: with another name it has our VNI and port.
  const other = { ...theirs, name: "flannel.1", vni: 77 };
  kernel.addLink(other);
  kernel.listener?.onEvent({ kind: "link", change: "new", link: other });
  await machine.rest(OVERLAY_GAP_MS + PASS_MS);
  assert.equal(machine.words, `${start}flannel.1 of somebody else has its VNI and UDP port`);
  kernel.remove("flannel.1");
  kernel.listener?.onEvent({ kind: "link", change: "delete", link: other });
  await machine.rest(OVERLAY_GAP_MS + PASS_MS);
  assert.equal(machine.words, "");
});

test("who gets none is counted as missing, unless this Node has nothing of the family", async (t) => {
  const machine = new Machine(t, VXLAN, "fd00::9");
  const { overlay } = machine.overlay;
  machine.overlay.kernel.broken = true;
  machine.want(wanted(OWN, FIRST, SECOND));
  await machine.rest();
  assert.deepEqual([overlay.status().looked, overlay.status().missing], [false, 0]);
  machine.overlay.kernel.broken = false;
  await machine.rest(RETRY.maxMs);
  assert.deepEqual([overlay.status().looked, overlay.status().missing], [true, 2]);
  machine.want(wanted(undefined, FIRST, SECOND));
  await machine.rest();
  assert.equal(overlay.status().missing, 0, "whether anybody sends there is not known");
});

test("of a Node that is gone, while somebody announces it still, nothing of tunnels is said", async (t) => {
  const machine = new Machine(t, VXLAN, OWN);
  machine.want(wanted(undefined, FIRST, SECOND));
  machine.routes.change(POD_CIDR, SECOND);
  await machine.routes.started();
  await machine.rest();
  assert.match(machine.words, /this Node has no IPv6 address$/);
  const gone = `next hop ${SECOND} not reachable: it is in no subnet of this machine`;
  machine.want(wanted(undefined, FIRST), [{ before: node(SECOND), after: undefined }]);
  await machine.rest();
  assert.equal(machine.words, gone);
  // The same where all are looked at, and before it was decided.
  machine.want(wanted(undefined, FIRST, SECOND));
  machine.routes.change(POD_CIDR, SECOND);
  await machine.rest();
  assert.match(machine.words, /this Node has no IPv6 address$/);
  machine.want(wanted(undefined, FIRST));
  await machine.rest();
  assert.equal(machine.words, gone);
  machine.want(wanted(undefined, FIRST, SECOND), [{ before: undefined, after: node(SECOND) }]);
  machine.routes.change(POD_CIDR, SECOND);
  await machine.routes.rest();
  assert.match(machine.words, /which is not made yet/);
  machine.want(wanted(undefined, FIRST), [{ before: node(SECOND), after: undefined }]);
  await machine.rest();
  assert.equal(machine.words, gone);
});

test("of more conditions than are listed errors are, and one of them is not only a warning", async (t) => {
  const machine = new Machine(t, VXLAN, OWN);
  const { overlay, kernel } = machine.overlay;
  const remotes = Array.from({ length: CONDITIONS_MAX + 5 }, (_, at) => `fd00:77::${at + 1}`);
  for (const remote of remotes) {
    const to = prefix(`${remote}/128`);
    kernel.put({ kind: "route", prefix: to, link: 2, gateway: undefined }, true);
  }
  machine.want(wanted(OWN, ...remotes));
  await machine.rest();
  const [first] = overlay.conditions();
  assert.match(first?.message ?? "", /remove it with `ip -6 route flush table 77`$/);
  const last = () => overlay.conditions().at(-1);
  assert.deepEqual([last()?.severity, last()?.message], ["warning", "and 6 more about tunnels"]);
  kernel.refuses = ({ kind }) => kind === "put";
  machine.want(wanted(OWN, ...remotes, FIRST));
  await machine.rest();
  assert.equal(overlay.conditions()[0]?.severity, "error");
  assert.equal(overlay.conditions().length, CONDITIONS_MAX);
  for (const remote of remotes) kernel.items.delete(`route ${remote}/128`);
  machine.want(wanted(OWN, ...remotes, FIRST, "fd00:77::1000"));
  kernel.listener?.onEvent({ kind: "table" });
  await machine.rest(OVERLAY_GAP_MS + PASS_MS);
  assert.deepEqual([last()?.name, last()?.severity], ["overlay-more", "error"]);
});
