/**
 * To tell a peer of all paths costs so much for each of them, be there few of a prefix or many, and
 * what is done in one go is bounded by the paths, not by the prefixes.
 */
import "../support/steps.ts";
import assert from "node:assert/strict";
import { test } from "node:test";
import { type LabPeer, RibLab, route } from "../support/rib-lab.ts";
import { stepsOf, total } from "../support/steps.ts";

const ALL_PATHS = { routeReflectorClient: true, session: { addPathSend: [4] } } as const;

const prefixes = (count: number) =>
  Array.from({ length: count }, (_, i) => `10.${i >> 8}.${i & 255}.0/24`);

/** Internal peers that all announce the same prefixes, and one that is told of all paths. */
class Lab {
  readonly rib = new RibLab();
  readonly receiver = this.rib.peer("10.9.0.1", ALL_PATHS).up();
  readonly sources: LabPeer[];
  readonly #prefixes: readonly string[];

  constructor(sources: number, prefixCount: number) {
    this.receiver.receive();
    this.#prefixes = prefixes(prefixCount);
    this.sources = Array.from({ length: sources }, (_, i) =>
      this.rib.peer(`10.1.${i >> 8}.${i & 255}`, { routeReflectorClient: true }).up(),
    );
    for (const source of this.sources) this.announce(source);
  }

  announce(source: LabPeer): void {
    source.announce(this.#prefixes, route({ nextHop: source.config.address }));
  }

  /** Octets that the peer is to be sent. */
  drain({ id }: LabPeer): number {
    let octets = 0;
    while (this.rib.rib.hasOutput(id)) {
      for (const { length } of this.rib.rib.drainOutput(id, 65_536)) octets += length;
    }
    return octets;
  }
}

/** Steps for each path that is told, where each prefix has so many. */
async function stepsOfAPath(sources: number): Promise<readonly number[]> {
  const lab = new Lab(sources, 20);
  const steps: number[] = [];
  const count = async (paths: number, what: () => void) => {
    what();
    steps.push(total(await stepsOf(() => lab.drain(lab.receiver))) / (20 * paths));
  };
  await count(sources, () => undefined);
  // All of a prefix are looked at for one that changes.
  await count(sources, () => lab.sources[sources >> 1]!.down());
  await count(sources, () => {
    for (const source of lab.sources) if (source.isUp) source.down();
    for (const source of lab.sources.toReversed()) lab.announce(source.up());
  });
  await count(sources, () =>
    lab.announce(lab.rib.peer("10.8.0.1", { routeReflectorClient: true }).up()),
  );
  return steps;
}

test("a path costs as much among many of its prefix as among few", async () => {
  const few = await stepsOfAPath(12);
  const many = await stepsOfAPath(120);
  for (const [i, steps] of many.entries()) {
    assert.ok(steps < 1.5 * few[i]!, `${i}: ${steps} steps among 120, ${few[i]} among 12`);
  }
});

test("beyond what a peer can be told of they cost no more", async () => {
  const [all] = await stepsOfAPath(120);
  const [tooMany] = await stepsOfAPath(300);
  assert.ok(tooMany! < 2 * all!, `${tooMany} steps among 300, ${all} among 120`);
});

test("many paths of few prefixes are told in several goes", () => {
  const lab = new Lab(100, 1000);
  const late = lab.rib.peer("10.9.0.2", ALL_PATHS).up();
  for (const peer of [lab.receiver, late]) {
    let goes = 0;
    for (; lab.rib.rib.hasOutput(peer.id); goes++) {
      let announced = 0;
      for (const message of peer.receiveSome(1e9)) announced += message.announced.length;
      assert.ok(announced <= 40_000, `${announced} at once`);
    }
    assert.equal(peer.view.size, 100_000);
    assert.ok(goes < 10, `${goes} goes`);
  }
});

test("many paths of few prefixes that go are told in several goes", () => {
  const lab = new Lab(100, 1000);
  lab.drain(lab.receiver);
  for (const source of lab.sources.toReversed()) source.down();
  let withdrawn = 0;
  let goes = 0;
  for (; lab.rib.rib.hasOutput(lab.receiver.id); goes++) {
    let now = 0;
    for (const message of lab.receiver.receiveSome(1e9)) now += message.withdrawn.length;
    assert.ok(now <= 40_000, `${now} at once`);
    withdrawn += now;
  }
  assert.equal(withdrawn, 100_000);
  assert.ok(goes < 10, `${goes} goes`);
});
