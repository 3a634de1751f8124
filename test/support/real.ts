/** Tests against real parts: root, namespaces, programs of the system. */
import type { TestContext } from "node:test";

/**
 * Says whether a test can run against the real part that it needs. Where the part is missing the
 * test is skipped with the reason, but under `CI=true` it fails: a skip there would pass for proof.
 *
 * @returns true when `ok`; the caller returns at once otherwise.
 */
export function requireReal(t: TestContext, ok: boolean, reason: string): boolean {
  if (ok) return true;
  if (process.env["CI"] === "true") throw new Error(`needed under CI: ${reason}`);
  t.skip(reason);
  return false;
}
