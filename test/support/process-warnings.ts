/** What a library says on standard error by itself, past the log. */
import type { TestContext } from "node:test";
import { settle } from "./fake-clock.ts";

/** Runs it; the texts of the warnings of the process that come of it. */
export async function processWarnings(
  t: TestContext,
  run: () => unknown,
): Promise<readonly string[]> {
  const warnings: string[] = [];
  const heard = (warning: Error) => warnings.push(warning.message);
  process.on("warning", heard);
  t.after(() => process.off("warning", heard));
  await run();
  await settle(1);
  return warnings;
}
