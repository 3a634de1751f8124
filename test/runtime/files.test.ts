/** Files are replaced whole; folders are made where they can be, and a refusal is an error, never a loop. */
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import {
  chmodSync,
  closeSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { makeFolder, writeAtomically } from "../../src/runtime/files.ts";
import { namespacesUnavailable } from "../support/namespaces.ts";
import { requireReal } from "../support/real.ts";
import { must, run } from "../support/shell.ts";

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

test("a file is written with the folders above it, and its like is replaced", async () => {
  const path = join(root, "new", "folder", "file");
  await writeAtomically(path, "one");
  await writeAtomically(path, "two", { folderMode: 0o755 });
  assert.equal(readFileSync(path, "utf8"), "two");
  assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.equal(statSync(join(root, "new")).mode & 0o777, 0o700);
});

test("what somebody put in the place of the temporary file is neither followed nor used", async () => {
  const path = join(root, "shared");
  const other = join(root, "other");
  writeFileSync(other, "untouched");
  symlinkSync(other, `${path}.tmp`);
  await writeAtomically(path, "one");
  assert.equal(readFileSync(other, "utf8"), "untouched");
  assert.ok(lstatSync(path).isFile());
  writeFileSync(`${path}.tmp`, "", { mode: 0o666 });
  chmodSync(`${path}.tmp`, 0o666);
  const theirs = openSync(`${path}.tmp`, "r");
  await writeAtomically(path, "two");
  assert.equal(readFileSync(theirs, "utf8"), "", "who had it open does not read along");
  closeSync(theirs);
  assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.equal(readFileSync(path, "utf8"), "two");
});

test("what cannot be removed from the place of the temporary file is what the error names", async () => {
  const path = join(root, "good");
  writeFileSync(path, "as it was");
  mkdirSync(`${path}.tmp`);
  await assert.rejects(writeAtomically(path, "new"), {
    message: `${path}.tmp: is a directory`,
    code: "EISDIR",
  });
  assert.equal(readFileSync(path, "utf8"), "as it was");
});

test("what cannot be written is said with the reason that the kernel gave", async (t) => {
  writeFileSync(join(root, "plain"), "");
  await assert.rejects(writeAtomically(join(root, "plain", "below", "file"), ""), {
    message: `${join(root, "plain", "below", "file")}: a part of the path is not a directory`,
    code: "ENOTDIR",
  });
  await assert.rejects(writeAtomically(join(root, "plain", "file"), ""), {
    message: `${join(root, "plain", "file")}: a part of the path is not a directory`,
    code: "EEXIST",
  });
  symlinkSync(join(root, "gone"), join(root, "dangling"));
  for (const path of [join(root, "dangling", "file"), join(root, "dangling", "below", "file")]) {
    await assert.rejects(writeAtomically(path, ""), {
      message: `${path}: a part of the path is not a directory`,
      code: "EEXIST",
    });
  }
  const reason = await namespacesUnavailable();
  if (!requireReal(t, reason === undefined, reason ?? "")) return;
  const readOnly = join(root, "read-only");
  mkdirSync(readOnly);
  await must("mount", ["-t", "tmpfs", "-o", "ro", "tmpfs", readOnly]);
  try {
    await assert.rejects(writeAtomically(join(readOnly, "net.d", "file"), ""), {
      message: `${join(readOnly, "net.d", "file")}: the file system is read-only`,
      code: "EROFS",
    });
  } finally {
    await run("umount", [readOnly]);
  }
});
