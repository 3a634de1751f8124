/** How the image runs the agent, from its recipe: what is measured and tried is what is deployed. */
import { readFileSync } from "node:fs";
import { join } from "node:path";

const DOCKERFILE = join(import.meta.dirname, "..", "..", "deploy", "Dockerfile");

export interface ImageRecipe {
  readonly entrypoint: readonly string[];
  readonly command: readonly string[];
  /** `NAME=value`. */
  readonly environment: readonly string[];
}

/** Throws when the recipe has another form than is expected here. */
export function imageRecipe(): ImageRecipe {
  const text = readFileSync(DOCKERFILE, "utf8");
  const entry = /^ENTRYPOINT (\[.*\])$/m.exec(text)?.[1];
  const command = /^CMD (\[.*\])$/m.exec(text)?.[1];
  const variables = /^ENV ((?:.*\\\n)*.*)$/m.exec(text)?.[1];
  if (entry === undefined || command === undefined || variables === undefined) {
    throw new Error("the Dockerfile has changed");
  }
  return {
    entrypoint: JSON.parse(entry) as readonly string[],
    command: JSON.parse(command) as readonly string[],
    environment: variables.split(/[\s\\]+/),
  };
}

export interface ImageRuntime {
  /** Options of Node.js before the program. */
  readonly nodeFlags: readonly string[];
  /** Variables other than the PATH. */
  readonly env: Record<string, string>;
}

/** The same for a bundle outside the image. */
export function imageRuntime(): ImageRuntime {
  const { entrypoint, environment } = imageRecipe();
  const settings = environment.map((setting) => setting.split("="));
  const env = Object.fromEntries(settings.filter(([name]) => name !== "PATH"));
  return { nodeFlags: entrypoint.slice(1, -1), env };
}
