/**
 * The commit that a bundle is made of, for its version (src/agent/version.ts): `1a2b3c4`, and
 * `1a2b3c4-dirty` where what is bundled differs from it.
 */
import { spawnSync } from "node:child_process";
import { realpathSync } from "node:fs";
import { UsageError } from "./command-line.ts";

/** What of the work tree goes into a bundle, or decides what does. */
const BUNDLED = [
  ...["src", "packages", "scripts", "package.json", "package-lock.json", "tsconfig.json"],
];
const COMMIT = /^[0-9a-f]{7,40}(?:-dirty)?$/;

/**
 * As git says for the work tree with this root; undefined where it is none, or a folder in another
 * one's, or git is not there.
 */
export function commitOf(root: string): string | undefined {
  // Else a hook's own variables would speak of another tree, and a status write to this one.
  const env = Object.entries(process.env).filter(([name]) => !name.startsWith("GIT_"));
  const git = (...args: readonly string[]): string | undefined => {
    const options = { env: Object.fromEntries(env), encoding: "utf8" } as const;
    const { status, stdout } = spawnSync(
      "git",
      ["--no-optional-locks", "-C", root, ...args],
      options,
    );
    return status === 0 ? stdout.trim() : undefined;
  };
  if (git("rev-parse", "--show-toplevel") !== realpathSync(root)) return undefined;
  const commit = git("rev-parse", "--short=7", "HEAD");
  if (commit === undefined) return undefined;
  return git("status", "--porcelain", "--", ...BUNDLED) === "" ? commit : `${commit}-dirty`;
}

/** A commit as somebody gives it; empty = unknown. */
export function checkedCommit(text: string): string | undefined {
  if (text === "") return undefined;
  if (COMMIT.test(text)) return text;
  throw new UsageError(
    `--commit=${text}: expected 7 to 40 digits of a commit, with or without -dirty`,
  );
}
