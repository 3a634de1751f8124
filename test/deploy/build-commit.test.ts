/** Which commit a bundle names. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { checkedCommit, commitOf } from "../../scripts/build-commit.ts";

const withGit = { skip: spawnSync("git", ["--version"]).status !== 0 && "git is not installed" };

test("the commit of the work tree, marked where what is bundled differs", withGit, (t) => {
  const tree = mkdtempSync(join(tmpdir(), "podrouter-tree-"));
  t.after(() => rmSync(tree, { recursive: true }));
  const git = (...args: string[]) => {
    const who = ["-c", "user.name=test", "-c", "user.email=test@example.org"];
    const done = spawnSync("git", ["-C", tree, ...who, ...args], { encoding: "utf8" });
    assert.equal(done.status, 0, done.stderr);
    return done.stdout.trim();
  };
  const put = (path: string, text: string) => writeFileSync(join(tree, path), text);
  assert.equal(commitOf(tree), undefined, "no work tree");
  git("init", "-q");
  assert.equal(commitOf(tree), undefined, "no commit yet");
  mkdirSync(join(tree, "src"));
  put("src/main.ts", "1");
  put("README.md", "1");
  git("add", "-A");
  git("commit", "-q", "-m", "one");
  const commit = git("rev-parse", "--short=7", "HEAD");
  assert.equal(commitOf(tree), commit);
  put("README.md", "2");
  assert.equal(commitOf(tree), commit, "what is not bundled does not count");
  put("tsconfig.json", "{}");
  assert.equal(commitOf(tree), `${commit}-dirty`, "what decides how it is bundled does");
  rmSync(join(tree, "tsconfig.json"));
  put("src/more.ts", "1");
  assert.equal(commitOf(tree), `${commit}-dirty`, "a file that is not committed yet");
  git("add", "src");
  git("commit", "-q", "-m", "two");
  const next = git("rev-parse", "--short=7", "HEAD");
  assert.notEqual(next, commit);
  assert.equal(commitOf(tree), next);
  put("src/main.ts", "2");
  assert.equal(commitOf(tree), `${next}-dirty`);
  assert.equal(checkedCommit(`${next}-dirty`), `${next}-dirty`);
  assert.equal(commitOf(join(tree, "src")), undefined, "a folder in another project's tree");
});

test("a commit that is given is one, or unknown", () => {
  assert.equal(checkedCommit(""), undefined);
  assert.equal(checkedCommit("1a2b3c4"), "1a2b3c4");
  for (const text of ["main", "1a2b3c", "1a2b3c4+x", "1A2B3C4", "v1.0-3-g1a2b3c4"]) {
    assert.throws(() => checkedCommit(text), /^Error: --commit=.*: expected 7 to 40 digits/);
  }
});
