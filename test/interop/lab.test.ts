/** The lab of the interop tests. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { test } from "node:test";
import { Lab } from "../support/peers/lab.ts";
import { requireReal } from "../support/real.ts";
import { must } from "../support/shell.ts";
import { labUnavailable } from "./available.ts";

test("a lab of which something does not stop is removed too, and that is told", async (t) => {
  const noLab = await labUnavailable();
  if (!requireReal(t, noLab === undefined, noLab ?? "")) return;
  const lab = await Lab.build();
  await lab.capture();
  lab.add({ stop: () => Promise.reject(new Error("it does not stop")) });
  await assert.rejects(lab.remove(), /^Error: it does not stop$/);
  const namespaces = await must("ip", ["netns", "list"]);
  assert.ok(!namespaces.includes(lab.namespaces.group), namespaces);
  assert.ok(!existsSync(lab.folder));
});
