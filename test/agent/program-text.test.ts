/** Which of its own pages a process may give back, and that it lives on without them. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { releaseProgramText, textMappings } from "../../src/agent/program-text.ts";

const mapping = (line: string, resident: number, anonymous: number | undefined) =>
  [
    line,
    "Size:               1024 kB",
    `Rss:            ${resident} kB`,
    "Private_Dirty:        64 kB",
    ...(anonymous === undefined ? [] : [`Anonymous:      ${anonymous} kB`]),
    "VmFlags: rd ex mr mw me",
  ].join("\n");

const NODE = "/usr/local/bin/node";
const at = (rights: string, path = NODE) =>
  `00400000-00500000 ${rights} 00000000 fe:00 10315973                   ${path}`;

test("only what is the file's own and cannot be written to", () => {
  const cases: [string, string, boolean][] = [
    ["text", mapping(at("r-xp"), 512, 0), true],
    ["constants", mapping(at("r--p"), 512, 0), true],
    ["data", mapping(at("rw-p"), 512, 0), false],
    ["shared", mapping(at("r-xs"), 512, 0), false],
    ["a breakpoint in it", mapping(at("r-xp"), 512, 4), false],
    ["not said", mapping(at("r-xp"), 512, undefined), false],
    ["nothing in memory", mapping(at("r-xp"), 0, 0), false],
    ["another file", mapping(at("r-xp", "/lib/libc.so.6"), 512, 0), false],
    ["a file whose name goes on", mapping(at("r-xp", `${NODE}-old`), 512, 0), false],
    ["no file", mapping("00400000-00500000 r-xp 00000000 00:00 0 ", 512, 0), false],
  ];
  for (const [what, text, spare] of cases) {
    const expected = spare
      ? [{ address: 0x40_0000, bytes: 0x10_0000, residentBytes: 524_288 }]
      : [];
    assert.deepEqual(textMappings(text, NODE), expected, what);
    // The same among others.
    const others = mapping(at("rw-p"), 100, 0);
    assert.deepEqual(textMappings(`${others}\n${text}\n${others}\n`, NODE), expected, what);
  }
  assert.deepEqual(textMappings("", NODE), []);
});

const fileKilobytes = () =>
  Number(/^RssFile:\s+(\d+) kB/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1]);

test("this process gives its text back, and goes on", () => {
  const before = fileKilobytes();
  const released = releaseProgramText() / 1024;
  const after = fileKilobytes();
  assert.ok(released > 5_000, `${released} kB`);
  assert.ok(after < before - 2_000, `${before} kB before, ${after} kB after`);
  assert.equal(JSON.stringify([1, 2, 3].map((n) => n ** 2)), "[1,4,9]");
});
