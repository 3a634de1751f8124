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
 * alone, so the name of the file of code holds a digest of the text. Of the code itself it believes
 * every octet, and what a disk has lost would crash it: a sum behind the code tells.
 */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { constants, Script } from "node:vm";

/** Compiled code was taken; does not fit Node.js or its options, or is damaged; is not there. */
export type CodeCacheState = "used" | "refused" | "missing";

/** Parameters of the program's function, in order; the bundle is made with these. */
export const PROGRAM_PARAMETERS = ["require", "__filename", "__dirname", "CODE_CACHE"] as const;
export const PROGRAM_FILE = "podrouter-program.js";

const SUM_BYTES = 4;
/** 64 words of a page. */
const SUMMED_EVERY_BYTES = 64;

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
  const sealed = readIfThere(join(folder, codeCacheFile(digest)));
  const cachedData = sealed === undefined ? undefined : unsealed(sealed);
  const script = new Script(text, {
    filename: file,
    importModuleDynamically: constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
    ...(cachedData === undefined ? {} : { cachedData }),
  });
  const taken = cachedData !== undefined && script.cachedDataRejected === false;
  const codeCache = sealed === undefined ? "missing" : taken ? "used" : "refused";
  return { file, script, codeCache };
}

/** Runs the program: from here on it is the process. */
export function startProgram({ file, script, codeCache }: Program): void {
  const main = script.runInThisContext() as (...values: unknown[]) => void;
  main(createRequire(file), file, dirname(file), codeCache);
}

/** A file of compiled code: the code, and behind it its sum. */
export function sealedCode(code: Buffer): Buffer {
  const sum = Buffer.alloc(SUM_BYTES);
  sum.writeUInt32LE(sumOf(code));
  return Buffer.concat([code, sum]);
}

/** The code in such a file; undefined when it is not what was written. */
function unsealed(file: Buffer): Buffer | undefined {
  const end = file.length - SUM_BYTES;
  if (end < 0) return undefined;
  const code = file.subarray(0, end);
  return sumOf(code) === file.readUInt32LE(end) ? code : undefined;
}

/**
 * A sum over the length and some words of each page: what a disk loses is pages, and to read every
 * octet here would take as long as reading the file.
 */
function sumOf(code: Buffer): number {
  let sum = code.length | 0;
  for (let at = 0; at + 4 <= code.length; at += SUMMED_EVERY_BYTES) {
    sum = Math.imul(sum ^ code.readUInt32LE(at), 0x0100_0193);
    sum ^= sum >>> 15;
  }
  return sum >>> 0;
}

function readIfThere(path: string): Buffer | undefined {
  try {
    return readFileSync(path);
  } catch {
    return undefined;
  }
}
