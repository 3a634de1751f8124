/** A kernel that refuses routes in masses and for long: what that costs, and how it ends. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { prefix } from "../../src/ip/prefix.ts";
import { RESYNC_GAP_MS } from "../../src/routes/limits.ts";
import type { KernelFailure } from "../../src/routes/ports.ts";
import type { RouteOperation } from "../../src/routes/types.ts";
import { seededRandom } from "../support/speakers.ts";
import { address, lost, route, STATIC } from "./fake-kernel.ts";
import { Harness } from "./harness.ts";

const [A, B] = ["192.168.50.51", "192.168.50.52"];
const ROUTES = 600;
const LONE = "10.77.0.0/24";
const refused: KernelFailure = { code: "ENOBUFS", message: "ENOBUFS: no memory for it" };

const KINDS = [
  ["answers that are lost", lost()],
  ["definite refusals", refused],
] as const;

/** One that is to have `ROUTES` routes and gets none; its retries have jitter. */
async function lab(refuse: (operation: RouteOperation) => KernelFailure | undefined) {
  const h = new Harness({}, undefined, undefined, seededRandom(5));
  for (let i = 0; i < ROUTES; i++) h.want(`10.8.${i >> 8}.${i & 255}/32`, A);
  // A second interface, which is down.
  h.kernel.links.push({ index: 3, name: "enp2s0", up: false });
  const subnet = prefix("10.99.0.0/24");
  h.kernel.addresses.push({ link: 3, address: address("10.99.0.1"), subnet });
  h.kernel.refuse = refuse;
  await h.started();
  h.controller.converged();
  return h;
}

for (const [what, failure] of KINDS) {
  test(`${what}: each route is tried ever more slowly, and the kernel listed seldom`, async () => {
    const h = await lab(() => failure);
    await h.rest(120_000);
    const { dumps } = h.kernel;
    h.tried();
    await h.rest(600_000);
    // Each period, and by its own back-off of 22 to 30 s.
    const tries = h.tried().length / ROUTES;
    assert.ok(tries >= 20 && tries <= 38, `${tries} tries of each`);
    const listings = h.kernel.dumps - dumps;
    const most = failure === refused ? 10 : 10 + 600 / 7.5;
    assert.ok(listings >= 10 && listings <= most, `${listings} listings`);
    assert.equal(h.controller.status().pending, ROUTES);
  });

  test(`${what}: all is there at once when a link comes up`, async () => {
    const h = await lab(() => failure);
    await h.rest(125_000);
    h.kernel.refuse = () => undefined;
    h.kernel.setLink(3, true);
    await h.rest(RESYNC_GAP_MS + 50);
    assert.equal(h.controller.status().installed, ROUTES);
    assert.equal(h.controller.status().pending, 0);
  });
}

test("answers that are lost: all is there within 30 s when the kernel takes routes again", async () => {
  const h = await lab(() => lost());
  await h.rest(125_000);
  await recovers(h, () => h.rest(30_000));
});

test("definite refusals: all is there with the first that the kernel takes again", async () => {
  const h = await lab(() => refused);
  await h.rest(125_000);
  await recovers(h, async () => {
    while (h.controller.status().installed === 0) await h.rest(50);
    await h.rest(50);
  });
});

/** The kernel takes routes again, and says nothing of it. */
async function recovers(h: Harness, soon: () => Promise<void>): Promise<void> {
  h.kernel.refuse = () => undefined;
  h.tried();
  await soon();
  assert.equal(h.controller.status().installed, ROUTES);
  assert.equal(h.tried().length, ROUTES, "and none was tried in vain");
  assert.deepEqual(h.codes(), []);
  assert.equal(h.controller.status().pending, 0);
  assert.equal(h.controller.settled(), true);
}

test("one route alone that the kernel takes again has two others tried in vain", async () => {
  const tries = async (taken: string) => {
    const h = await lab(() => refused);
    await h.rest(125_000);
    const at = { tries: 0, total: 0 };
    h.tried();
    h.kernel.refuse = ({ prefix: to }) => {
      at.total++;
      if (to !== "10.8.0.7/32") return refused;
      at.tries = at.total;
      return taken === to ? undefined : refused;
    };
    while (at.tries === 0) await h.rest(1);
    return at.total - at.tries;
  };
  assert.equal((await tries("10.8.0.7/32")) - (await tries("none")), 2);
});

test("answers that are lost while routes come all the time: the same", async () => {
  const h = await lab(() => undefined);
  await h.rest(1000);
  h.kernel.refuse = () => lost();
  const { dumps } = h.kernel;
  h.tried();
  for (let i = 0; i < 400; i++) {
    h.change(`10.9.${i >> 8}.${i & 255}/32`, A);
    await h.rest(300);
  }
  // In two minutes, two of them by the period; at first more often than later.
  const listings = h.kernel.dumps - dumps;
  assert.ok(listings <= 2 + 10 + 120 / 7.5, `${listings} listings`);
  const tries = h.tried().length / 400;
  assert.ok(tries <= 12, `${tries} tries of each`);
});

test("a listing for one lost answer has no other route tried before its time", async () => {
  const h = await lab(({ prefix: to }) => (to === LONE ? lost() : refused));
  // A while after a comparison of all, and long before the next try.
  await h.rest(121_000);
  const { dumps } = h.kernel;
  h.tried();
  h.change(LONE, A);
  await h.rest(1000);
  const tries = h.tried();
  assert.deepEqual([...new Set(tries)], [`create ${LONE}`]);
  assert.ok(tries.length >= 4, "after 100, 200, 400 ms");
  assert.equal(h.kernel.dumps - dumps, tries.length - 1, "before each but the first");
});

test("whatever is to be done with what was refused, a listing for another leaves it alone", async () => {
  const h = await lab(() => undefined);
  const [made, replaced, deleted] = ["10.66.0.0/24", "10.66.1.0/24", "10.66.2.0/24"];
  const both = ["10.66.3.0/24", "10.66.4.0/24"];
  for (const to of [replaced, deleted, both[1]!]) h.change(to, A);
  // Beside routes of others the way is another one.
  for (const to of both) h.kernel.add(route(to, { via: A, protocol: STATIC, metric: 7 }));
  await h.rest(2000);
  h.kernel.refuse = ({ prefix: to }) => (to === LONE ? lost() : refused);
  h.change(made, A);
  h.change(both[0]!, A);
  h.change(replaced, B);
  for (const to of [deleted, both[1]!]) h.change(to);
  await h.rest(119_000);
  h.tried();
  h.change(LONE, A);
  await h.rest(1000);
  assert.deepEqual([...new Set(h.tried())], [`create ${LONE}`]);
  await h.rest(30_000);
  const tried = new Set(h.tried());
  const due = [`create ${made}`, `create ${both[0]}`, `replace ${replaced}`];
  for (const each of [...due, `delete ${deleted}`, `delete ${both[1]}`]) {
    assert.ok(tried.has(each), each);
  }
});

test("a listing for one lost answer sees to it that nothing else is amiss", async () => {
  const h = await lab(({ prefix: to }) => (to === LONE ? lost() : refused));
  await h.rest(121_000);
  const [first, second, third] = ["10.8.0.1/32", "10.8.0.2/32", "10.8.0.3/32"].map(prefix);
  h.kernel.refuse = () => undefined;
  h.change("10.66.0.0/24", A);
  h.change("10.66.1.0/24", A);
  await h.rest(20);
  h.kernel.refuse = ({ prefix: to }) => (to === LONE ? lost() : refused);
  assert.equal(h.controller.status().installed, 2);
  h.kernel.silently(() => {
    h.kernel.routes = h.kernel.routes.filter((each) => each.prefix !== "10.66.0.0/24");
    // Two that wait are there; and one is wanted no more.
    const made = (to: string) => ({ ...h.kernel.routes[0]!, prefix: prefix(to) });
    h.kernel.routes.push(made(first!), made(second!));
  });
  h.want(third!);
  const { conditionsTotal } = h.controller.status();
  h.tried();
  h.change(LONE, A);
  await h.rest(300);
  assert.ok(h.tried().includes("create 10.66.0.0/24"), "one that went without a word");
  const { installed, pending, conditionsTotal: after } = h.controller.status();
  assert.equal(installed, 3);
  assert.equal(pending, ROUTES - 3 + 2);
  assert.equal(conditionsTotal - after, 3 - 1);
});

test("a link that is up is seen by whichever listing comes first", async () => {
  const h = await lab(({ prefix: to }) => (to === LONE ? lost() : refused));
  await h.rest(121_000);
  h.change(LONE, A);
  await h.rest(1);
  h.kernel.eventDelayMs = 25_000;
  h.kernel.setLink(3, true);
  h.kernel.refuse = () => undefined;
  await h.rest(RESYNC_GAP_MS + 50);
  assert.equal(h.controller.status().installed, ROUTES + 1);
});

test("a comparison of all that was under way stays one when a lost answer asks for another", async () => {
  const h = await lab(({ prefix: to }) => (to === LONE ? lost() : refused));
  await h.rest(121_000);
  h.change(LONE, A);
  await h.rest(1);
  h.kernel.refuse = () => undefined;
  // Both are due by the time that the kernel has been listed.
  h.kernel.dumpMs = 150;
  h.kernel.setLink(3, true);
  await h.rest(RESYNC_GAP_MS + 400);
  assert.equal(h.controller.status().installed, ROUTES + 1);
});
