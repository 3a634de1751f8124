/**
 * Runs the bundled program as its launcher does, and keeps what the engine compiled of it:
 *
 *   node FLAGS recorder.ts FOLDER DIGEST run --config …
 *
 * The flags of Node.js must be those that the program is started with later.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { setFlagsFromString } from "node:v8";
import { USUAL_FLAGS } from "../../src/agent/engine-flags.ts";
import { codeCacheFile, readProgram, sealedCode, startProgram } from "../../src/launch/program.ts";

const [folder, digest, ...words] = process.argv.slice(2);
if (folder === undefined || digest === undefined) throw new Error("no folder, or no digest");
process.argv.splice(2, process.argv.length, ...words);
const program = readProgram(folder, digest);
process.on("exit", (code) => {
  if (code !== 0) return;
  // The agent has set its own; those that hold when the code is taken are the usual ones.
  for (const flag of USUAL_FLAGS) setFlagsFromString(flag);
  writeFileSync(join(folder, codeCacheFile(digest)), sealedCode(program.script.createCachedData()));
});
startProgram(program);
