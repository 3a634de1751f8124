/** Folders are made where they can be, and a refusal is an error, never a loop. */
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { mkdirSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { makeFolder } from "../../src/agent/make-folder.ts";

// Made when the tests begin, not when the file is loaded: only then somebody removes it.
const root = join(tmpdir(), `podrouter-folder-${randomUUID()}`);
before(() => mkdirSync(root));
after(() => rmSync(root, { recursive: true }));

test("missing folders are made, with the mode; again does nothing", () => {
  const path = join(root, "a", "b", "c");
  makeFolder(path, 0o700);
  makeFolder(path, 0o755);
  for (const made of [path, join(root, "a")]) assert.equal(statSync(made).mode & 0o777, 0o700);
});

test("a link to a folder is a folder; a file is not", () => {
  symlinkSync(root, join(root, "link"));
  makeFolder(join(root, "link"), 0o700);
  writeFileSync(join(root, "file"), "");
  assert.throws(() => makeFolder(join(root, "file"), 0o700), { code: "EEXIST" });
  assert.throws(() => makeFolder(join(root, "file", "below"), 0o700), { code: "ENOTDIR" });
});

test("where nothing can be made, as in /proc, it fails at once", () => {
  assert.throws(() => makeFolder("/proc/podrouter/state", 0o700), /ENOENT|EPERM|EACCES/);
});
