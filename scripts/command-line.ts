/**
 * Command lines of the programs in scripts/ and bench/: `--help`, and one sentence with exit code 2
 * for what is wrong.
 */
import { writeSync } from "node:fs";
import { type ParseArgsConfig, parseArgs } from "node:util";

const WRONG_USAGE = 2;

/** What the caller wrote cannot be done; one sentence. */
export class UsageError extends Error {}

/**
 * What `read` makes of the command line. Ends the program where help is asked for, or it throws.
 * Only the first `own` words are asked for help: what follows is the command of somebody else.
 */
export function fromCommandLine<T>(
  program: string,
  usage: string,
  read: (args: readonly string[]) => T,
  own = Number.POSITIVE_INFINITY,
): T {
  const args = process.argv.slice(2);
  if (args.slice(0, own).some((word) => word === "--help" || word === "-h")) {
    writeSync(1, usage.endsWith("\n") ? usage : `usage: ${usage}\n`);
    process.exit(0);
  }
  try {
    return read(args);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    process.exit(wrongUsage(program, error));
  }
}

/** Says what is wrong; the exit code for it. */
export function wrongUsage(program: string, { message }: UsageError): number {
  writeSync(2, `${program}: ${message}\n`);
  return WRONG_USAGE;
}

/**
 * `parseArgs` of Node.js.
 * @throws {UsageError} in its words
 */
export function parsed<T extends ParseArgsConfig>(config: T): ReturnType<typeof parseArgs<T>> {
  try {
    return parseArgs(config);
  } catch (error) {
    const { code = "", message } = error as NodeJS.ErrnoException;
    if (!code.startsWith("ERR_PARSE_ARGS_")) throw error;
    // What follows is about arguments that look like options, of which there are none here.
    throw new UsageError(`${message.split(/\. |\n/)[0]}; --help shows what there is`);
  }
}

/**
 * The words of a command line without options.
 * @throws {UsageError} one that looks like an option, or more of them than `most`
 */
export function wordsOf(args: readonly string[], most: number): readonly string[] {
  const { positionals } = parsed({ args: [...args], allowPositionals: true, options: {} });
  if (positionals.length <= most) return positionals;
  throw new UsageError(`${positionals[most]} is one word too many; --help shows what there is`);
}

/** @throws {UsageError} the text is no number, or a smaller one, or none that is whole */
export function numberOf(name: string, text: string, min: number, whole = true): number {
  const value = Number(text);
  const sound = text.trim() !== "" && value >= min && value < Number.MAX_SAFE_INTEGER;
  if (sound && (!whole || Number.isInteger(value))) return value;
  const what = whole ? "a whole number" : "a number";
  throw new UsageError(`${name}=${text}: expected ${what} from ${min}`);
}

/** @throws {UsageError} the text is none of `allowed` */
export function oneOf<T extends string>(name: string, text: string, allowed: readonly T[]): T {
  const found = allowed.find((each) => each === text);
  if (found !== undefined) return found;
  throw new UsageError(`${name}=${text}: expected one of ${allowed.join(", ")}`);
}
