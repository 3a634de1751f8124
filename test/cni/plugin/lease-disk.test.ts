/** The file of leases on disk, where something else stands in the way. */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { leaseFile } from "../../../src/cni/plugin/lease-disk.ts";

test("a file is put aside over one of before; a folder there is what the error names", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "podrouter-leases-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, "pod-leases.json");
  const aside = `${path}.damaged`;
  writeFileSync(aside, "of before");
  writeFileSync(path, "damaged");
  assert.equal(await leaseFile(path).putAside(), aside);
  assert.equal(readFileSync(aside, "utf8"), "damaged");
  rmSync(aside);
  mkdirSync(aside);
  writeFileSync(path, "damaged again");
  await assert.rejects(leaseFile(path).putAside(), { message: `${aside}: is a directory` });
  assert.equal(readFileSync(path, "utf8"), "damaged again");
});
