/**
 * Throws octets at the BGP codec until the time is over: random ones, and good messages with
 * something changed. Usage: `node scripts/fuzz.ts [SECONDS] [--seed N] [--coverage]`.
 *
 * What must hold for every input: nothing throws; the stream in one chunk and cut anywhere gives
 * the same; a route that was accepted without an error encodes, and decodes to itself; rendering
 * survives it; no input takes long. The first input that breaks one of these is printed as
 * hexadecimal with the seed, and the exit code is 1.
 */

import { codecCoverage, startCoverage } from "./fuzz/coverage.ts";
import { decodeStream, type FuzzSession, SESSIONS } from "./fuzz/execute.ts";
import { Generator } from "./fuzz/generator.ts";

const INPUT_MS_MAX = 1000;
const BATCH = 200;

interface Options {
  readonly seconds: number;
  readonly seed: number;
  readonly coverage: boolean;
}

function parseOptions(argv: readonly string[]): Options {
  let seconds = 10;
  let seed = Math.floor(Math.random() * 0xffff_ffff);
  let coverage = false;
  for (let i = 0; i < argv.length; i++) {
    const word = argv[i]!;
    if (word === "--coverage") coverage = true;
    else if (word === "--seed") seed = number(argv[++i], "--seed");
    else seconds = number(word, "SECONDS");
  }
  return { seconds, seed, coverage };
}

function number(text: string | undefined, name: string): number {
  const value = Number(text);
  if (text === undefined || !Number.isFinite(value) || value < 0) {
    throw new Error(`${name}: a number is needed, not ${text}`);
  }
  return value;
}

/** What broke, or undefined. */
function judge(stream: Uint8Array, cuts: readonly number[], session: FuzzSession) {
  const started = performance.now();
  try {
    const whole = decodeStream([stream], session);
    const pieces = decodeStream(cutAt(stream, cuts), session);
    if (whole.join("\n") !== pieces.join("\n")) return "cutting the stream changes the result";
  } catch (error) {
    return error instanceof Error ? (error.stack ?? error.message) : String(error);
  }
  const took = performance.now() - started;
  return took > INPUT_MS_MAX ? `took ${Math.round(took)} ms` : undefined;
}

function cutAt(stream: Uint8Array, cuts: readonly number[]): Uint8Array[] {
  const edges = [0, ...cuts.map((cut) => cut % (stream.length + 1)), stream.length];
  edges.sort((a, b) => a - b);
  return edges.slice(1).map((end, i) => stream.slice(edges[i], end));
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

async function main(): Promise<number> {
  const options = parseOptions(process.argv.slice(2));
  say(`seed ${options.seed}`);
  if (options.coverage) await startCoverage();
  const generator = new Generator(options.seed);
  const end = performance.now() + options.seconds * 1000;
  let executions = 0;
  while (performance.now() < end) {
    for (let i = 0; i < BATCH; i++) {
      const stream = generator.stream();
      const cuts = generator.cuts();
      const name = generator.pick(Object.keys(SESSIONS));
      const problem = judge(stream, cuts, SESSIONS[name]!);
      executions++;
      if (problem === undefined) continue;
      say(`failed after ${executions} executions, session ${name}, cuts [${cuts.join(", ")}]`);
      say(problem);
      say(Buffer.from(stream).toString("hex"));
      return 1;
    }
  }
  const memory = Math.round(process.memoryUsage().rss / 1e6);
  say(`${executions} executions in ${options.seconds} s, nothing broke; RSS ${memory} MB`);
  if (options.coverage) for (const line of await codecCoverage()) say(line);
  return 0;
}

process.exitCode = await main();
