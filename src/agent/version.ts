/** The version of podrouter, from the one place where it is written down. */
import manifest from "../../package.json" with { type: "json" };

/** Put in by scripts/bundle.ts: `1a2b3c4`, `1a2b3c4-dirty`, or empty where it is not known. */
declare const BUILD_COMMIT: string | undefined;

/**
 * `0.1.0+g1a2b3c4` of a build, with its commit as build metadata (semver.org, 10), which does not
 * count when versions are compared; `0.1.0` of the source itself.
 */
export const VERSION: string = versionOf(
  manifest.version,
  typeof BUILD_COMMIT === "undefined" ? "" : BUILD_COMMIT,
);

function versionOf(version: string, commit: string): string {
  return commit === "" ? version : `${version}+g${commit}`;
}
