/**
 * The licences of what is in a bundle: each of them asks that its text goes along with the code, and
 * a bundle has lost the files in which the packages carry it.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** In the bundle's folder, and so in the image. */
export const LICENCES_FILE = "THIRD-PARTY-LICENSES.txt";

const LICENCE_TEXT = /^(?:licen[cs]e|copying|notice)(?:[.-].*)?$/i;
/** Up to the last `node_modules` of a path, and the package's name behind it. */
const PACKAGE = /^(?:[\w-]+:)*(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//;

/**
 * Texts of all packages that the `inputs` of a bundle are of, paths relative to `root` as esbuild
 * names them, and of the folders `more`. Throws when one of them has no text.
 */
export function licencesOf(
  inputs: readonly string[],
  root: string,
  more: readonly string[] = [],
): string {
  const found = inputs.map((input) => PACKAGE.exec(input)?.[1]);
  const folders = new Set([...found.filter((folder) => folder !== undefined), ...more]);
  const sections = [...folders].sort().map((folder) => section(folder, join(root, folder)));
  // One package may be there twice, in another one's folder.
  return [...new Set(sections)].join(`\n${"-".repeat(80)}\n\n`);
}

function section(folder: string, path: string): string {
  const manifest = JSON.parse(readFileSync(join(path, "package.json"), "utf8")) as {
    readonly name: string;
    readonly version: string;
    readonly license?: unknown;
  };
  const texts = readdirSync(path).filter((name) => LICENCE_TEXT.test(name));
  if (texts.length === 0) throw new Error(`${folder} is bundled and has no text of a licence`);
  const title = `${manifest.name} ${manifest.version} (${String(manifest.license)})`;
  const parts = texts.sort().map((name) => readFileSync(join(path, name), "utf8").trim());
  return `${title}\n\n${parts.join("\n\n")}\n`;
}
