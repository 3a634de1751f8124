/**
 * Writes the pages of docs/ that are made from the code: `npm run docs`. A test holds that they
 * are current (test/tidy/docs.test.ts).
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { generatedPages } from "./docs/pages.ts";

for (const [path, text] of await generatedPages()) {
  writeFileSync(join(import.meta.dirname, "..", path), text);
  process.stdout.write(`${path}\n`);
}
