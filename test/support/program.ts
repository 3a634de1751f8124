/**
 * The agent's program, as tests and the demo call it: that of the checkout, which runs the source, or
 * one laid out as in the image, which an emulated machine starts in a tenth of the time.
 */
import { cp } from "node:fs/promises";
import { dirname, join } from "node:path";
import { imageRuntime } from "./image-recipe.ts";
import { must } from "./shell.ts";

const ROOT = join(import.meta.dirname, "..", "..");
const BUNDLE_MS_MAX = 300_000;
/** Names the folder of the programs, where it is not the checkout's. */
const BIN_VARIABLE = "PODROUTER_BIN";
const BIN = process.env[BIN_VARIABLE] ?? join(ROOT, "bin");

export const PODROUTER = join(BIN, "podrouter");
export const PODROUTER_CNI = join(BIN, "podrouter-cni");

/** Bundles the checkout as it is now into a folder, with its compiled code, as the image has it. */
export async function makeBundle(folder: string): Promise<void> {
  const scripts = join(ROOT, "scripts");
  // The folder goes with us: nothing shall be written there any more.
  const node = (...words: string[]) =>
    must("setpriv", ["--pdeathsig", "TERM", process.execPath, ...words], {
      timeoutMs: BUNDLE_MS_MAX,
    });
  await node(join(scripts, "bundle.ts"), "--out", folder);
  await node(join(scripts, "code-cache.ts"), folder, ...imageRuntime().nodeFlags);
}

/** Lays out the programs in a folder as the image does. @returns settings for tests that use them. */
export async function layOutPrograms(folder: string): Promise<Record<string, string>> {
  const bin = join(folder, "bin");
  await makeBundle(join(folder, "dist"));
  await cp(join(ROOT, "bin"), bin, { recursive: true });
  // The image's programs take the Node.js that is found first.
  const path = `${dirname(process.execPath)}:${process.env["PATH"]}`;
  return { [BIN_VARIABLE]: bin, PATH: path };
}
