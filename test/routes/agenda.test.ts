/** What is looked at next, in which portions, and what is known of it by then. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { prefix } from "../../src/ip/prefix.ts";
import { Agenda, Portion } from "../../src/routes/agenda.ts";
import { ConditionBook, refusedCondition } from "../../src/routes/conditions.ts";
import { PORTION_PREFIXES } from "../../src/routes/limits.ts";
import { PrefixIndex } from "../../src/routes/prefix-index.ts";
import { RouteView } from "../../src/routes/view.ts";
import { address } from "./fake-kernel.ts";
import { FakeDesired } from "./harness.ts";

class Lab {
  readonly index: PrefixIndex = new PrefixIndex(7, (id) => this.view.has(id));
  readonly view: RouteView = new RouteView(this.index);
  readonly conditions = new ConditionBook(this.index);
  readonly desired = new FakeDesired();
  readonly agenda = new Agenda(this.index, this.desired, this.conditions, () => this.view);
  readonly portion = new Portion(this.index);

  want(...texts: string[]): void {
    for (const text of texts) {
      const nextHops = [address(text.includes(":") ? "2001:db8::1" : "192.0.2.1")];
      this.desired.routes.set(prefix(text), { prefix: prefix(text), nextHops });
    }
  }

  change(...texts: string[]): void {
    for (const text of texts) this.desired.change(prefix(text));
  }

  mark(...texts: string[]): void {
    for (const text of texts) this.agenda.mark(this.index.insertText(prefix(text)));
  }

  /** Something is said of them, so that they are known though nobody wants them. */
  note(...texts: string[]): void {
    for (const text of texts) {
      const subject = { prefix: prefix(text), nextHops: [] };
      const condition = refusedCondition(subject, { reason: "default-route" });
      this.conditions.set(this.index.insertText(prefix(text)), condition);
    }
  }

  /** The next portion, as text; undefined when there is none. */
  next(): string | undefined {
    const { portion } = this;
    if (!this.agenda.next(portion)) return undefined;
    const { prefixes, nextHops } = portion.batch;
    const words = Array.from({ length: portion.count }, (_, row) => {
      assert.equal(portion.ids[row], this.index.findText(prefixes.prefixAt(row)));
      return `${prefixes.prefixAt(row)}${nextHops[row]!.length > 0 ? "!" : ""}`;
    });
    return [...words, portion.spoken && "spoken", portion.unwanted && "unwanted"]
      .filter((word) => word !== false)
      .join(" ");
  }

  all(): string[] {
    const portions: string[] = [];
    for (let one = this.next(); one !== undefined; one = this.next()) {
      if (one !== "" && one !== "unwanted") portions.push(one);
    }
    return portions;
  }
}

test("marked ones come first, then those that changed, then all; each family by itself", () => {
  const lab = new Lab();
  lab.want("10.1.0.0/24", "fd00:1::/64", "10.2.0.0/24");
  lab.note("10.3.0.0/24", "fd00:3::/64");
  lab.agenda.scan();
  lab.change("fd00:5::/64", "10.2.0.0/24");
  lab.mark("fd00:4::/64", "10.4.0.0/24", "10.1.0.0/24", "10.4.0.0/24");
  assert.equal(lab.agenda.waiting, 5);
  assert.ok(lab.agenda.scans);
  assert.deepEqual(lab.all(), [
    "10.4.0.0/24 10.1.0.0/24!",
    "10.2.0.0/24! spoken",
    "fd00:4::/64",
    "fd00:5::/64 spoken",
    "10.1.0.0/24! 10.2.0.0/24!",
    "fd00:1::/64!",
    "10.3.0.0/24 unwanted",
    "fd00:3::/64 unwanted",
  ]);
  assert.equal(lab.agenda.waiting, 0);
  assert.equal(lab.agenda.scans, false);
  assert.deepEqual(lab.all(), []);
});

test("what has changed says nothing of what comes after it", () => {
  const lab = new Lab();
  lab.change("10.1.0.0/24");
  assert.equal(lab.next(), "10.1.0.0/24 spoken");
  lab.mark("10.2.0.0/24");
  assert.equal(lab.next(), "10.2.0.0/24");
  lab.agenda.scan();
  lab.note("fd00:3::/64");
  assert.deepEqual(lab.all(), ["fd00:3::/64 unwanted"]);
  lab.mark("10.2.0.0/24");
  assert.equal(lab.next(), "10.2.0.0/24");
});

test("many marked ones come in portions, each once until it is marked again", () => {
  const lab = new Lab();
  const texts = Array.from({ length: 2 * PORTION_PREFIXES + 9 }, (_, i) => `10.${i}.0.0/16`);
  lab.mark(...texts);
  assert.deepEqual(lab.next()?.split(" "), texts.slice(0, PORTION_PREFIXES));
  assert.equal(lab.agenda.waiting, PORTION_PREFIXES + 9);
  lab.mark(texts[0]!, texts.at(-1)!);
  assert.equal(lab.agenda.waiting, PORTION_PREFIXES + 10);
  assert.deepEqual(
    lab.all().flatMap((portion) => portion.split(" ")),
    [...texts.slice(PORTION_PREFIXES), texts[0]],
  );
});

test("where marked ones come as fast as they are taken, those that were taken cost nothing", () => {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  const lab = new Lab();
  for (let i = 0; i < 4 * PORTION_PREFIXES; i++) lab.mark(`10.${i >> 8}.${i & 255}.0/24`);
  const used = () => {
    collect();
    return process.memoryUsage().heapUsed;
  };
  const before = used();
  for (let turn = 0; turn < 20_000; turn++) {
    assert.ok(lab.agenda.next(lab.portion));
    for (let row = 0; row < lab.portion.count; row++) lab.agenda.mark(lab.portion.ids[row]!);
  }
  assert.equal(lab.agenda.waiting, 4 * PORTION_PREFIXES);
  const grown = used() - before;
  assert.ok(grown < 3_000_000, `${grown} octets`);
});

test("many that nobody wants come in portions too, each once", () => {
  const lab = new Lab();
  const texts = Array.from({ length: 2 * PORTION_PREFIXES + 9 }, (_, i) => `10.${i}.0.0/16`);
  lab.note(...texts);
  lab.agenda.scan();
  const portions = lab.all().map((portion) => portion.split(" ").slice(0, -1));
  assert.deepEqual(
    portions.map(({ length }) => length),
    [PORTION_PREFIXES, PORTION_PREFIXES, 9],
  );
  assert.deepEqual(portions.flat(), texts);
});

test("who has much to be looked at keeps nobody waiting: one portion of each in turn", () => {
  const lab = new Lab();
  const many = (from: number) =>
    Array.from({ length: 2 * PORTION_PREFIXES + 1 }, (_, i) => `10.${from + i}.0.0/16`);
  lab.mark(...many(0));
  lab.change(...many(100));
  lab.change("fd00:1::/64");
  lab.mark("fd00:2::/64");
  lab.want("fd00:3::/64");
  lab.agenda.scan();
  const kinds = lab.all().map((portion) => {
    const [first] = portion.split(" ");
    const family = first!.includes(":") ? 6 : 4;
    return `${family}${first!.endsWith("!") ? "!" : ""}${portion.includes("spoken") ? " spoken" : ""}`;
  });
  const inTurn = ["4", "4 spoken", "6", "6 spoken", "4", "4 spoken", "6!", "4", "4 spoken"];
  assert.deepEqual(kinds, inTurn);
});

test("a number is held while its prefix is looked at, and not a moment longer", () => {
  const lab = new Lab();
  lab.want("10.1.0.0/24");
  // More often than a number can be held.
  for (let i = 0; i < 300; i++) {
    lab.mark("10.1.0.0/24", "10.2.0.0/24");
    lab.change("10.1.0.0/24");
    lab.agenda.scan();
    lab.all();
  }
  lab.mark("10.3.0.0/24", "10.4.0.0/24");
  lab.next();
  const [id] = lab.portion.ids;
  assert.equal(lab.index.prefix(id!), "10.3.0.0/24", "held");
  lab.next();
  assert.equal(lab.index.size, 0);
});

test("a comparison frees the numbers that nobody needs, and few of them in one go", () => {
  const lab = new Lab();
  for (let i = 0; i < 40 * PORTION_PREFIXES; i++) {
    lab.index.insertText(prefix(`10.${i >> 8}.${i & 255}.0/24`));
  }
  lab.note("10.0.0.0/24", "10.9.255.0/24", "fd00::/64");
  lab.agenda.scan();
  let portions = 0;
  while (lab.next() !== undefined) portions++;
  assert.equal(lab.index.size, 3);
  assert.ok(portions > 4 && portions <= 12, `${portions} portions`);
});

test("whether a route is wanted is asked of its own family", () => {
  const lab = new Lab();
  lab.want("10.1.0.0/24", "fd00:1::/64");
  for (const [text, wanted] of [
    ["10.1.0.0/24", true],
    ["fd00:1::/64", true],
    ["10.2.0.0/24", false],
    ["fd00:2::/64", false],
    ["10.1.0.0/24", true],
  ] as const) {
    assert.equal(lab.agenda.isWanted(prefix(text)), wanted, text);
  }
});

test("a comparison that spares what was refused takes the place of none that does not", () => {
  const lab = new Lab();
  lab.want("10.1.0.0/24", "10.2.0.0/24", "10.3.0.0/24");
  const spared = () => {
    const seen = new Set<boolean>();
    while (lab.next() !== undefined) if (lab.portion.count > 0) seen.add(lab.portion.sparing);
    return [...seen];
  };
  lab.agenda.scan(true);
  assert.deepEqual(spared(), [true]);
  lab.agenda.scan();
  assert.deepEqual(spared(), [false]);
  lab.agenda.scan();
  lab.next();
  lab.agenda.scan(true);
  assert.deepEqual(spared(), [false]);
  lab.agenda.scan(true);
  lab.agenda.scan();
  assert.deepEqual(spared(), [false]);
  lab.agenda.scan(true);
  lab.mark("10.1.0.0/24");
  lab.next();
  assert.equal(lab.portion.sparing, false, "one that was marked is not spared");
});
