/** What the demo says of a step that this machine cannot show. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { run } from "../support/shell.ts";

const REPORT = join(import.meta.dirname, "..", "..", "scripts", "demo", "report.ts");
const PROGRAM = `
const { Report } = await import(${JSON.stringify(REPORT)});
const report = new Report(1);
report.check("it works", true);
report.leftOut("pods", "the CNI plugins are missing");
report.summary();
process.exit(report.failed);
`;

async function demo(ci: string): Promise<readonly [status: number, said: string]> {
  const env = { CI: ci, NO_COLOR: "1" };
  const { status, stdout } = await run(process.execPath, ["--input-type=module", "-e", PROGRAM], {
    env,
  });
  return [status, stdout.replace(/in \d+\.\d\d s\n$/, "in … s\n")];
}

test("what was left out is said at the end, too, and fails under CI", async () => {
  const [status, said] = await demo("");
  assert.equal(status, 0);
  const closing = `
What was checked
  ok   it works
  --   pods: left out, the CNI plugins are missing

1 held, 0 failed, 1 left out, in … s
`;
  assert.ok(said.endsWith(closing), said);
  const [underCi, complaint] = await demo("true");
  assert.equal(underCi, 1);
  assert.match(complaint, /\n {2}FAIL pods \(left out, the CNI plugins are missing\)\n/);
  assert.match(complaint, /\n1 held, 1 failed, in … s\n$/);
});
