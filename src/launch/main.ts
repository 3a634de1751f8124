/** What the image starts: the bundled program beside this file, with its compiled code. */
import { readProgram, startProgram } from "./program.ts";

/** Digest of the program's text, put in when the bundle is made. */
declare const PROGRAM_DIGEST: string;

startProgram(readProgram(import.meta.dirname, PROGRAM_DIGEST));
