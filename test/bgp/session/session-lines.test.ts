/** How many of the log's lines are written where a thousand sessions come or go at once. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { SESSION_LINES_MAX, SESSION_LINES_MS } from "../../../src/bgp/session/limits.ts";
import { SessionLines } from "../../../src/bgp/session/session-lines.ts";
import { type Log, type LogFields, silentLog } from "../../../src/runtime/log.ts";
import { FakeClock } from "../../support/fake-clock.ts";

interface Line {
  readonly level: "debug" | "info";
  readonly fields: LogFields;
  readonly message: string;
}

function bench() {
  const clock = new FakeClock();
  const written: Line[] = [];
  const into = (level: Line["level"], of: LogFields) => (fields: LogFields, message: string) =>
    void written.push({ level, fields: { ...of, ...fields }, message });
  const logOf = (of: LogFields): Log => ({
    ...silentLog,
    debug: into("debug", of),
    info: into("info", of),
  });
  const lines = new SessionLines(clock, logOf({}));
  const up = (peer: number) => lines.established(logOf({ peer }), { as: 64_512 });
  const down = (peer: number) => lines.ended(logOf({ peer }), { reason: "closed by peer" });
  const take = () => written.splice(0);
  return { clock, lines, up, down, take };
}

const infos = (lines: readonly Line[]) => lines.filter(({ level }) => level === "info");

test("a few are written, each with its peer, at once", () => {
  const { clock, up, down, take } = bench();
  for (let round = 0; round < 3; round++) {
    for (let peer = 0; peer < SESSION_LINES_MAX; peer++) up(peer);
    for (let peer = 0; peer < SESSION_LINES_MAX; peer++) down(peer);
    const lines = take();
    assert.equal(infos(lines).length, 2 * SESSION_LINES_MAX, "each kind has its own");
    const first = { level: "info", message: "session established" };
    assert.deepEqual(lines[1], { ...first, fields: { peer: 1, as: 64_512 } });
    const last = { level: "info", message: "session ended" };
    const fields = { peer: SESSION_LINES_MAX - 1, reason: "closed by peer" };
    assert.deepEqual(lines.at(-1), { ...last, fields });
    clock.advance(SESSION_LINES_MS);
    assert.deepEqual(take(), [], "nothing was left out, and nothing is said of it");
    assert.equal(clock.pendingCount, 0);
  }
});

test("of a thousand the first are written, the others counted when the second is over", () => {
  const { clock, up, take } = bench();
  for (let peer = 0; peer < 1000; peer++) {
    if (peer === 400) clock.advance(SESSION_LINES_MS / 2);
    up(peer);
  }
  const lines = take();
  assert.equal(infos(lines).length, SESSION_LINES_MAX);
  assert.equal(lines.length, 1000, "the others are lines for who looks closer");
  clock.advance(SESSION_LINES_MS / 2 - 1);
  assert.deepEqual(take(), []);
  clock.advance(1);
  const fields = { sessions: 1000 - SESSION_LINES_MAX };
  assert.deepEqual(take(), [{ level: "info", fields, message: "further sessions established" }]);
  up(1);
  assert.equal(infos(take()).length, 1, "another second, another count");
  assert.equal(clock.pendingCount, 0);
});

test("they come without an end: each second has its lines and its count, none is lost", () => {
  const { clock, down, take } = bench();
  for (let i = 0; i < 10_000; i++) {
    down(i);
    clock.advance(1);
  }
  clock.advance(SESSION_LINES_MS);
  const lines = infos(take());
  const counts = lines.filter(({ message }) => message === "further sessions ended");
  const counted = counts.reduce((sum, { fields }) => sum + Number(fields["sessions"]), 0);
  assert.equal(counts.length, 10);
  assert.equal(lines.length - counts.length, 10 * SESSION_LINES_MAX);
  assert.equal(counted + lines.length - counts.length, 10_000);
});

test("at the end the counts are written at once, and only then", () => {
  const { clock, lines, up, down, take } = bench();
  lines.flush();
  assert.deepEqual(take(), []);
  for (let peer = 0; peer < 60; peer++) up(peer);
  for (let peer = 0; peer < 70; peer++) down(peer);
  take();
  lines.flush();
  assert.deepEqual(
    take().map(({ fields, message }) => [fields["sessions"], message]),
    [
      [60 - SESSION_LINES_MAX, "further sessions established"],
      [70 - SESSION_LINES_MAX, "further sessions ended"],
    ],
  );
  clock.advance(10 * SESSION_LINES_MS);
  assert.deepEqual(take(), []);
});
