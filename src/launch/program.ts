/**
 * The bundled program and what the engine made of it when it ran before.
 *
 * Node.js reads a file as text, and V8 compiles each function when it is first called: an agent
 * that starts and brings up its sessions calls some three thousand of them. All of these are kept
 * when the image is made (scripts/code-cache.ts), and V8 takes them from there. Node's own
 * NODE_COMPILE_CACHE does not do that: it keeps what is compiled when a file is loaded, before
 * anything of it has run.
 *
 * The program is one function expression, `(function (require, …) { … })`. V8 itself refuses what
 * another version made or the same one under other options; for the text it looks at the length
 * alone, so the name of the file of code holds a digest of the text.
 */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { constants, Script } from "node:vm";

/** Whether the compiled code was taken, did not fit Node.js or its options, or is not there. */
export type CodeCacheState = "used" | "refused" | "missing";

/** Parameters of the program's function, in order; the bundle is made with these. */
export const PROGRAM_PARAMETERS = ["require", "__filename", "__dirname", "CODE_CACHE"] as const;
export const PROGRAM_FILE = "podrouter-program.js";

export interface Program {
  readonly file: string;
  readonly script: Script;
  readonly codeCache: CodeCacheState;
}

/** File of the compiled code beside a program whose text has this digest. */
export function codeCacheFile(digest: string): string {
  return `podrouter-program-${digest}.codecache`;
}

/** Reads the program of a folder. Throws when there is none; without compiled code it compiles. */
export function readProgram(folder: string, digest: string): Program {
  const file = join(folder, PROGRAM_FILE);
  // It is ASCII: this form has half the size in memory.
  const text = readFileSync(file, "latin1");
  const cachedData = readIfThere(join(folder, codeCacheFile(digest)));
  const script = new Script(text, {
    filename: file,
    importModuleDynamically: constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
    ...(cachedData === undefined ? {} : { cachedData }),
  });
  const codeCache =
    cachedData === undefined ? "missing" : script.cachedDataRejected ? "refused" : "used";
  return { file, script, codeCache };
}

/** Runs the program: from here on it is the process. */
export function startProgram({ file, script, codeCache }: Program): void {
  const main = script.runInThisContext() as (...values: unknown[]) => void;
  main(createRequire(file), file, dirname(file), codeCache);
}

function readIfThere(path: string): Buffer | undefined {
  try {
    return readFileSync(path);
  } catch {
    return undefined;
  }
}
