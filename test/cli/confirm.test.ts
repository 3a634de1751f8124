/** The question on a terminal: only a yes is one. */
import assert from "node:assert/strict";
import { PassThrough } from "node:stream";
import { test } from "node:test";
import { confirmed } from "../../src/cli/confirm.ts";

/** As a terminal in raw mode gives it; undefined = it goes away. */
async function typed(text: string | undefined): Promise<{ sure: boolean; shown: string }> {
  const stdin = Object.assign(new PassThrough(), { isTTY: true, setRawMode: () => undefined });
  const stdout = Object.assign(new PassThrough(), { isTTY: true, columns: 80 });
  const asked = confirmed({ stdin, stdout }, "Remove?");
  if (text === undefined) stdin.end();
  else stdin.write(text);
  return { sure: await asked, shown: stdout.read()?.toString() ?? "" };
}

test("a yes is one, whatever else is typed is none", async () => {
  for (const [text, sure] of [
    ["y\r", true],
    [" YES \r", true],
    ["n\r", false],
    ["\r", false],
    ["yesterday\r", false],
  ] as const) {
    const answer = await typed(text);
    assert.deepEqual([text, answer.sure], [text, sure]);
    assert.match(answer.shown, /Remove\? \[y\/N\] /);
  }
});

test("Ctrl-C, Ctrl-D and a terminal that goes away are a no, on a line of its own", async () => {
  for (const text of ["\u0003", "\u0004", "ye\u0003", undefined]) {
    const { sure, shown } = await typed(text);
    assert.deepEqual([text, sure, shown.endsWith("\n")], [text, false, true]);
  }
});
