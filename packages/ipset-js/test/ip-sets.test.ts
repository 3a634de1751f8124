/** Answers that the running kernel may not give: those of other versions of it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { errorMessage, ScriptedSys } from "../../netlink-ts/test/support/scripted-sys.ts";
import { IpSets, IpsetErrno } from "../src/index.ts";

const EXCL = 0x200;

test("before Linux 5.11 a set that is gone already is an error to destroy, whatever one asks", async (t) => {
  const sys = new ScriptedSys();
  const flags: number[] = [];
  let errno: number = IpsetErrno.SET_NOT_FOUND;
  sys.onSend = (bytes) => {
    flags.push(bytes.readUInt16LE(6) & EXCL);
    sys.answers.push(errorMessage(bytes.readUInt32LE(8), errno));
  };
  const sets = new IpSets({ sys });
  t.after(() => sets.close());
  await sets.destroy("s");
  await assert.rejects(sets.destroy("s", { exist: false }), { code: "SET_NOT_FOUND" });
  assert.deepEqual(flags, [0, EXCL]);
  errno = IpsetErrno.SET_BUSY;
  await assert.rejects(sets.destroy("s"), { code: "SET_BUSY" });
});
