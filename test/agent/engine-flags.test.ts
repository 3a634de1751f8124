import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { EngineFlags } from "../../src/agent/engine-flags.ts";

const MODULE = "../../src/agent/engine-flags.ts";

test("the compilers wait while an agent starts, and for a table as V8 has it", () => {
  const set: string[] = [];
  const flags = new EngineFlags((flag) => set.push(flag));
  assert.deepEqual(set.splice(0), [
    "--no-parallel-scavenge",
    "--invocation-count-for-turbofan=200000",
    "--invocation-count-for-maglev=4000",
  ]);
  flags.tableComes();
  flags.tableComes();
  assert.deepEqual(set, ["--invocation-count-for-maglev=400"]);
});

test("this engine knows the flags, and as its own those that are said to be", () => {
  const program = `
    import { Script } from "node:vm";
    import { setFlagsFromString } from "node:v8";
    import { EngineFlags, USUAL_FLAGS } from ${JSON.stringify(import.meta.resolve(MODULE))};
    // Of compiled code the first words tell under which flags it was made.
    const made = () => new Script("1").createCachedData().subarray(0, 16).toString("hex");
    const usual = made();
    new EngineFlags(setFlagsFromString);
    const set = made();
    for (const flag of USUAL_FLAGS) setFlagsFromString(flag);
    console.log(usual === set, usual === made());
  `;
  const options = ["--input-type=module", "--eval", program];
  const { stdout, stderr } = spawnSync(process.execPath, options, { encoding: "utf8" });
  assert.equal(stderr, "", "it complains of a flag that it does not know");
  assert.equal(stdout, "false true\n");
});
