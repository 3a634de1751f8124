/** How the image runs the agent, from its recipe: what is measured is what is deployed. */
import { readFileSync } from "node:fs";
import { join } from "node:path";

const DOCKERFILE = join(import.meta.dirname, "..", "..", "deploy", "Dockerfile");

export interface ImageRuntime {
  /** Options of Node.js before the program. */
  readonly nodeFlags: readonly string[];
  /** Variables other than the PATH. */
  readonly env: Record<string, string>;
}

/**
 * `cache`: the folder in place of the image's for compiled code. Throws when the recipe has another
 * form than is expected here.
 */
export function imageRuntime(cache: string): ImageRuntime {
  const text = readFileSync(DOCKERFILE, "utf8");
  const entry = /^ENTRYPOINT (\[.*\])$/m.exec(text)?.[1];
  const variables = /^ENV ((?:.*\\\n)*.*)$/m.exec(text)?.[1];
  if (entry === undefined || variables === undefined) throw new Error("the Dockerfile has changed");
  const words = JSON.parse(entry) as readonly string[];
  const settings = variables.split(/[\s\\]+/).map((setting) => setting.split("="));
  const env = Object.fromEntries(settings.filter(([name]) => name !== "PATH"));
  return { nodeFlags: words.slice(1, -1), env: { ...env, NODE_COMPILE_CACHE: cache } };
}
