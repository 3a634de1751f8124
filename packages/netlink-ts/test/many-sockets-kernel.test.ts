/** Hundreds of sockets at once, as hundreds of pods that are made at once take. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { RouteNetlink } from "../src/index.ts";
import { limited } from "../src/limited.ts";
import { Namespace } from "./support/namespace.ts";

const SOCKETS = 600;

test("each of hundreds of sockets gets its answer", async (t) => {
  const namespace = Namespace.make(t);
  if (namespace === undefined) return;
  const sockets = Array.from({ length: SOCKETS }, () => namespace.enter(() => new RouteNetlink()));
  t.after(() => {
    for (const socket of sockets) socket.close();
  });
  const names = await Promise.all(
    sockets.map(async ({ links }) => {
      await links.set("lo", { up: true });
      return (await links.get("lo"))?.name;
    }),
  );
  assert.deepEqual(new Set(names), new Set(["lo"]));
  assert.equal(names.length, SOCKETS);
});

test("so many at a time, in their order, whatever becomes of each", async () => {
  const begun: number[] = [];
  const ends: (() => void)[] = [];
  const call = limited(2, async (number: number) => {
    begun.push(number);
    await new Promise<void>((resolve) => ends.push(resolve));
    if (number === 1) throw new Error("the second fails");
    return number;
  });
  const results = Promise.allSettled([0, 1, 2, 3, 4].map((number) => call(number)));
  const seen: number[] = [];
  for (let at = 0; at < 5; at++) {
    await new Promise((resolve) => setImmediate(resolve));
    seen.push(begun.length);
    ends[at]!();
  }
  assert.deepEqual(seen, [2, 3, 4, 5, 5]);
  assert.deepEqual(begun, [0, 1, 2, 3, 4]);
  assert.deepEqual(
    (await results).map(({ status }) => status),
    ["fulfilled", "rejected", "fulfilled", "fulfilled", "fulfilled"],
  );
  const after = call(9);
  ends[5]!();
  assert.equal(await after, 9);
});
