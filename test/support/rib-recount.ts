/**
 * Counts again everything that a RIB keeps counts of: paths by peer, uses of attribute sets and of
 * next hops, holds of rows, readers of blocks. What is counted too high is never given back; what
 * is counted too low is given back while it is in use.
 */
import assert from "node:assert/strict";
import type { AdjRibIn } from "../../src/bgp/rib/adj-rib-in.ts";
import type { Advertised } from "../../src/bgp/rib/adj-rib-out.ts";
import type { FamilyRib } from "../../src/bgp/rib/family-rib.ts";
import type { GroupLimits } from "../../src/bgp/rib/limits.ts";
import { LAST_RESORT } from "../../src/bgp/rib/next-hop-table.ts";
import { NO_PATH, Verdict } from "../../src/bgp/rib/path-store.ts";
import { LOCAL_PEER } from "../../src/bgp/rib/peer-table.ts";
import type { Rib } from "../../src/bgp/rib/rib.ts";
import type { RibState } from "../../src/bgp/rib/rib-state.ts";
import type { RowQueue } from "../../src/bgp/rib/row-queue.ts";
import type { SharedStream } from "../../src/bgp/rib/shared-stream.ts";
import type { UpdateGroup } from "../../src/bgp/rib/update-group.ts";

type Columns = Readonly<Record<number, number>>;

/** What nobody but its class is to see, and this recount. */
function inner<T>(of: object, name: string): T {
  assert.ok(name in of, `${of.constructor.name} has ${name}`);
  return Reflect.get(of, name) as T;
}

class Tally {
  readonly counts = new Map<number, number>();

  add(id: number): void {
    if (id !== 0) this.counts.set(id, this.of(id) + 1);
  }

  of(id: number): number {
    return this.counts.get(id) ?? 0;
  }
}

/** Fails where a count of the RIB is not what there is. */
export function recount(rib: Rib): void {
  const state = inner<RibState>(rib, "state");
  const uses = new Tally();
  for (const family of [4, 6] as const) {
    const own = state.ribs[family];
    countPaths(state, own, uses);
    const holds = new Tally();
    const leaving = inner<{ group: UpdateGroup; next: number }[]>(own, "leaving");
    for (const group of own.groups) countGroup(state, own, group, 1, uses, holds);
    for (const { group, next } of leaving) countGroup(state, own, group, next, uses, holds);
    countRows(own, holds);
  }
  const { store } = state;
  assert.equal(store.size, uses.counts.size, "attribute sets");
  const nextHops = new Tally();
  const counted = inner<Columns>(store, "uses");
  for (const [id, count] of uses.counts) {
    assert.equal(counted[id], count, `uses of attribute set ${id}`);
    nextHops.add(store.nextHop(id));
  }
  let lastResorts = 0;
  inner<number[]>(state.nextHops, "uses").forEach((count, id) => {
    assert.equal(count, nextHops.of(id), `uses of next hop ${id}`);
    if (state.nextHops.cost(id) === LAST_RESORT) lastResorts++;
  });
  assert.equal(inner(state.nextHops, "lastResorts"), lastResorts, "next hops of the last resort");
  const families = [state.ribs[4], state.ribs[6]];
  const isWork = families.some((own) => own.hasWork);
  assert.equal(inner(state, "workAnnounced"), isWork, "work that nobody is told of");
  if (state.ribs[4].changes === undefined) return;
  const areChanges = families.some(({ changes }) => changes!.length > 0);
  assert.equal(rib.bestAreDirty, areChanges, "changed best routes that nobody is told of");
}

function countPaths(state: RibState, rib: FamilyRib, uses: Tally): void {
  const { paths } = rib;
  let total = 0;
  for (const into of inner<(AdjRibIn | undefined)[]>(rib, "ins")) {
    if (into === undefined) continue;
    let [received, accepted, stale] = [0, 0, 0];
    for (let path = into.first; path !== NO_PATH; path = paths.nextOfPeer(path)) {
      assert.equal(paths.peer(path), into.peer);
      received++;
      if (paths.verdict(path) === Verdict.accepted) accepted++;
      if (paths.epoch(path) !== into.epoch) stale++;
      uses.add(paths.receivedAttributes(path));
      uses.add(paths.attributesOf(path));
    }
    const what = [received, accepted, stale];
    assert.deepEqual([into.received, into.accepted, into.stale], what, `peer ${into.peer}`);
    const isKnown = into.peer === LOCAL_PEER || state.peers.find(into.peer) !== undefined;
    assert.ok(isKnown, "an Adj-RIB-In of a peer that is forgotten");
    total += received;
  }
  assert.equal(paths.size, total, "paths");
}

/** Of a group that is taken out of use, rows below `from` are given up already. */
function countGroup(
  state: RibState,
  { table }: FamilyRib,
  group: UpdateGroup,
  from: number,
  uses: Tally,
  holds: Tally,
): void {
  const { out } = group;
  const queue = inner<RowQueue>(group, "queue");
  const sources = new Tally();
  const oversized = new Tally();
  let size = 0;
  let tooLarge = 0;
  for (let row = 1; row < table.rowLimit; row++) {
    const told = out.has(row);
    for (const { path, attributes, source } of told ? entries(group, row) : []) {
      uses.add(attributes);
      size++;
      // Number 0 is a source as well.
      sources.add(source + 1);
      if (!out.oversized.has(path)) continue;
      tooLarge++;
      oversized.add(source + 1);
      assert.equal(inner<Map<number, number>>(out.oversized, "rows").get(path), row);
    }
    if (told || (queue.has(row) && row >= from)) holds.add(row);
  }
  assert.equal(out.size, size, "paths advertised");
  assert.equal(out.oversized.size, tooLarge, "paths that are too large");
  for (let id = 0; id < state.peers.idLimit; id++) {
    assert.equal(out.sizeFrom(id), sources.of(id + 1), `advertised from peer ${id}`);
    const rest = tooLarge - oversized.of(id + 1);
    assert.equal(out.oversized.sizeFor(id), rest, `too large, not from peer ${id}`);
  }
  const members = [...group.members.values()];
  for (const { missed } of members) {
    for (let row = missed.nextFrom(1); row !== 0; row = missed.nextFrom(row + 1)) holds.add(row);
  }
  const inStep = members.filter((member) => member.inStep);
  assert.equal(inner(group, "inStepCount"), inStep.length, "members in step");
  const stream = inner<SharedStream>(group, "stream");
  let kept = 0;
  for (let at = stream.begin; at < stream.end; at++) {
    const { withdrawn, readers, segments } = stream.at(at);
    for (const { bytes } of segments) kept += bytes.length;
    assert.ok(readers > 0, "a block that nobody will read");
    for (const row of withdrawn) holds.add(row);
    assert.equal(readers, inStep.filter(({ block }) => block <= at).length, "readers of a block");
  }
  assert.equal(stream.bytes, kept, "octets kept for members in step");
  const { sharedBytesMax } = inner<{ limits: GroupLimits }>(group, "parts").limits;
  assert.ok(kept <= sharedBytesMax || stream.end - stream.begin === 1, "a member holds up a group");
}

/** A path of an Adj-RIB-Out, by the number that it has there. */
interface Entry extends Pick<Advertised, "attributes" | "source"> {
  readonly path: number;
}

/** Not as listed: that leaves out what is too large, and what is about to be withdrawn. */
function entries({ addPath, out }: UpdateGroup, row: number): readonly Entry[] {
  const column = (name: string) => inner<Columns>(out, name);
  const found: Entry[] = [];
  for (let path = addPath ? column("heads")[row]! : row; path !== 0; ) {
    found.push({ path, attributes: column("attributes")[path]!, source: column("sources")[path]! });
    path = addPath ? column("nexts")[path]! : 0;
  }
  return found;
}

function countRows({ table, changes }: FamilyRib, holds: Tally): void {
  const queue = changes === undefined ? undefined : inner<RowQueue>(changes, "queue");
  const counted = inner<Columns>(table, "holds");
  let used = 0;
  for (let row = 1; row < table.rowLimit; row++) {
    if (queue?.has(row) === true) holds.add(row);
    if (!table.isUsed(row)) assert.equal(holds.of(row), 0, `holds of row ${row}, which is free`);
    else {
      used++;
      assert.equal(counted[row], holds.of(row), `holds of row ${row}`);
      assert.ok(table.head(row) !== NO_PATH || holds.of(row) > 0, "a row for nothing");
    }
  }
  assert.equal(table.size, used, "rows");
}
