/** The conditions that stand: bounded text, whatever number of routes is wrong. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type Prefix, prefix } from "../../src/ip/prefix.ts";
import {
  ConditionBook,
  kernelErrorCondition,
  refusedCondition,
  unreachableCondition,
} from "../../src/routes/conditions.ts";
import type { GuardRefusal } from "../../src/routes/guards.ts";
import {
  CONDITIONS_KEPT_MAX,
  CONDITIONS_LISTED_MAX,
  CONDITIONS_OF_A_CAUSE_MAX,
} from "../../src/routes/limits.ts";
import { PrefixIndex } from "../../src/routes/prefix-index.ts";
import type { Unreachable } from "../../src/routes/topology.ts";
import { address } from "./fake-kernel.ts";

const HOP = address("192.0.2.9");
const nth = (i: number) => prefix(`10.${i >> 8}.${i & 255}.0/24`);
const unreachable = (of: Prefix) =>
  unreachableCondition({ prefix: of, nextHops: [HOP] }, HOP, { reason: "no-subnet" }, false);

test("beyond the bound prefixes are kept and counted, without their text", () => {
  const index = new PrefixIndex(0, () => false);
  const book = new ConditionBook(index);
  const count = CONDITIONS_KEPT_MAX + 500;
  const ids = Array.from({ length: count }, (_, i) => index.insertText(nth(i)));
  for (const [i, id] of ids.entries()) book.set(id, unreachable(nth(i)));
  assert.equal(book.total, count);
  assert.deepEqual(
    book.list().map(({ message }) => message),
    [
      `${CONDITIONS_KEPT_MAX} or more routes are not installed: next hop not reachable: it is in no ` +
        "subnet of this machine (10.0.0.0/24 via 192.0.2.9 for one)",
    ],
  );
  assert.ok(ids.every((id) => book.has(id)));
  assert.deepEqual(new Set(book.waitingFor(new Set([HOP]))), new Set(ids));
  const last = ids.at(-1)!;
  assert.equal(book.get(last), undefined);
  const { version } = book;
  book.set(last, unreachable(nth(count - 1)));
  assert.equal(book.version, version, "the same again is no change");
  book.set(ids[0]!, undefined);
  book.set(last, unreachable(nth(count - 1)));
  assert.equal(book.get(last)?.prefix, nth(count - 1), "there is room for its text now");
  for (const id of ids) if (book.has(id)) book.set(id, undefined);
  assert.deepEqual([book.total, book.list()], [0, []]);
  assert.equal(index.size, 0, "nobody holds their prefixes");
});

test("those without a text are told of also when all that had one are gone", () => {
  const index = new PrefixIndex(0, () => false);
  const book = new ConditionBook(index);
  const ids = Array.from({ length: CONDITIONS_KEPT_MAX + 500 }, (_, i) => index.insertText(nth(i)));
  for (const [i, id] of ids.entries()) book.set(id, unreachable(nth(i)));
  for (const id of ids.slice(1, CONDITIONS_KEPT_MAX)) book.set(id, undefined);
  const messages = () => book.list().map(({ message }) => message);
  assert.equal(messages().length, 2);
  assert.equal(messages()[1], "and 500 more routes are not as they should be");
  // Looked at again they have one.
  for (const id of ids.slice(CONDITIONS_KEPT_MAX)) book.set(id, unreachable(nth(1)));
  assert.match(messages().join(), /^501 routes are not installed/);
});

test("many routes that wait for one thing are one line, others a line each", () => {
  const index = new PrefixIndex(0, () => false);
  const book = new ConditionBook(index);
  const put = (i: number, why: Unreachable, partial = false) => {
    const nextHop = address(`192.0.2.${i}`);
    const subject = { prefix: nth(i), nextHops: [nextHop] };
    book.set(index.insertText(nth(i)), unreachableCondition(subject, nextHop, why, partial));
  };
  const down: Unreachable = { reason: "link-down", link: "eth1" };
  for (let i = 1; i <= CONDITIONS_OF_A_CAUSE_MAX; i++) put(i, down);
  const names = () => book.list().map(({ name }) => name);
  const code = "next-hop-not-reachable";
  assert.deepEqual(
    names(),
    [1, 2, 3].map((i) => `${code} ${nth(i)}`),
  );
  put(100, { reason: "no-subnet" });
  put(101, down, true);
  put(4, down);
  const cause = "not installed: next hop not reachable: interface eth1 is down";
  assert.deepEqual(names(), [`${code}: ${cause}`, `${code} ${nth(100)}`, `${code} ${nth(101)}`]);
  const [first] = book.list();
  assert.equal(first?.message, `4 routes are ${cause} (${nth(1)} via 192.0.2.1 for one)`);
  assert.deepEqual([first?.severity, first?.prefix], ["warning", undefined]);
  book.set(index.insertText(nth(4)), undefined);
  assert.equal(names().length, 5);
});

test("what is refused is listed up to a bound", () => {
  const index = new PrefixIndex(0, () => false);
  const book = new ConditionBook(index);
  for (let i = 0; i < CONDITIONS_LISTED_MAX + 5; i++) {
    const subject = { prefix: nth(i), nextHops: [HOP] };
    book.set(index.insertText(nth(i)), refusedCondition(subject, { reason: "default-route" }));
  }
  assert.equal(book.list().length, CONDITIONS_LISTED_MAX);
  assert.equal(book.total, CONDITIONS_LISTED_MAX + 5);
  const last = () => book.list().at(-1);
  assert.deepEqual(
    [last()?.name, last()?.severity, last()?.message],
    ["more-routes", "warning", "and 6 more routes are not as they should be"],
  );
  // The last to come are the worst: they are listed, and others are not.
  const error = (i: number) => {
    const subject = { prefix: nth(i), nextHops: [HOP] };
    const failure = { code: "EINVAL", message: "EINVAL: refused" };
    book.set(index.insertText(nth(i)), kernelErrorCondition(subject, failure));
  };
  error(1000);
  assert.equal(book.list()[0]?.name, `kernel-error ${nth(1000)}`);
  assert.equal(last()?.message, "and 7 more routes are not as they should be");
  for (let i = 1001; i <= 1000 + CONDITIONS_LISTED_MAX; i++) error(i);
  assert.deepEqual([last()?.name, last()?.severity], ["more-routes", "error"]);
  const rest = book.total - CONDITIONS_LISTED_MAX + 1;
  assert.equal(last()?.message, `and ${rest} more routes are not as they should be`);
  const down: Unreachable = { reason: "link-down", link: "eth1" };
  for (let i = 0; i <= 2000; i++) book.set(index.insertText(nth(i)), undefined);
  for (let i = 0; i < 10; i++) {
    const subject = { prefix: nth(i), nextHops: [HOP] };
    book.set(index.insertText(nth(i)), unreachableCondition(subject, HOP, down, false));
  }
  assert.deepEqual([book.list().length, last()?.prefix], [1, undefined]);
  assert.match(last()?.message ?? "", /^10 routes are not installed/);
});

test("a default route stays out by choice, which is a warning; what could cut us off is an error", () => {
  const severity = (of: string, refusal: GuardRefusal) =>
    refusedCondition({ prefix: prefix(of), nextHops: [HOP] }, refusal).severity;
  assert.equal(severity("0.0.0.0/0", { reason: "default-route" }), "warning");
  assert.equal(severity("::/0", { reason: "default-route" }), "warning");
  const covers: GuardRefusal = { reason: "covers-node-address", address: HOP };
  assert.equal(severity("192.0.2.0/24", covers), "error");
});
