/**
 * Throws octets at the BGP codec and at whole sessions until the time is over: random ones, and
 * good messages with something changed. `npm run fuzz -- [SECONDS] [--seed N] [--coverage]`.
 *
 * What must hold for every input: nothing throws; the stream in one chunk and cut anywhere gives
 * the same; a route that was accepted without an error encodes, and decodes to itself; rendering
 * survives it; no input takes long; memory stays bounded. One input of `SESSION_EVERY` goes to a
 * speaker too, as what a peer says: `fuzz/session-target.ts` tells what must hold there. The first
 * input that breaks one of these is printed as hexadecimal with the seed, and the exit code is 1.
 */
import { fromCommandLine, numberOf, parsed, wordsOf } from "./command-line.ts";
import { codecCoverage, startCoverage } from "./fuzz/coverage.ts";
import { decodeStream, type FuzzSession, SESSIONS } from "./fuzz/execute.ts";
import { Generator } from "./fuzz/generator.ts";
import { SESSION_KINDS, SessionTarget } from "./fuzz/session-target.ts";

const INPUT_MS_MAX = 1000;
const BATCH = 200;
const SESSION_EVERY = 8;
/** What a run of hours may grow to; it stays far below. */
const RSS_BYTES_MAX = 800_000_000;

const USAGE = "npm run fuzz -- [SECONDS] [--seed N] [--coverage]";

function readOptions(argv: readonly string[]) {
  const { values, positionals } = parsed({
    args: [...argv],
    allowPositionals: true,
    options: {
      seed: { type: "string", default: `${Math.floor(Math.random() * 0xffff_ffff)}` },
      coverage: { type: "boolean", default: false },
    },
  });
  const [seconds = "10"] = wordsOf(positionals, 1);
  return {
    seconds: numberOf("SECONDS", seconds, 0, false),
    seed: numberOf("--seed", values.seed, 0),
    coverage: values.coverage,
  };
}

/** What broke, or undefined. */
function judge(stream: Uint8Array, cuts: readonly number[], session: FuzzSession) {
  return broken(() => {
    const whole = decodeStream([stream], session);
    const pieces = decodeStream(cutAt(stream, cuts), session);
    return whole.join("\n") === pieces.join("\n") ? undefined : "cutting changes the result";
  });
}

/** What is wrong after `run`: its word, what it threw, or that it took long. */
function broken(run: () => string | undefined): string | undefined {
  const started = performance.now();
  try {
    const problem = run();
    if (problem !== undefined) return problem;
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

/** One input from the generator, through the codec and at times through a session. */
class Fuzzer {
  executions = 0;
  throughSessions = 0;
  readonly #generator: Generator;
  readonly #target = new SessionTarget();

  constructor(seed: number) {
    this.#generator = new Generator(seed);
  }

  /** False when something broke; it has been said then. */
  one(): boolean {
    const generator = this.#generator;
    const stream = generator.stream();
    const cuts = generator.cuts();
    const name = generator.pick(Object.keys(SESSIONS));
    const problem = judge(stream, cuts, SESSIONS[name]!);
    if (!this.#report(`decoder ${name}`, problem, stream, cuts)) return false;
    if (++this.executions % SESSION_EVERY !== 0) return true;
    this.throughSessions++;
    const kind = generator.pick(SESSION_KINDS);
    const fresh = generator.pick([true, false, false, false]);
    const session = broken(() => {
      this.#target.run(cutAt(stream, cuts), kind, fresh);
      return undefined;
    });
    return this.#report(`${fresh ? "fresh" : "established"} ${kind}`, session, stream, cuts);
  }

  #report(
    where: string,
    problem: string | undefined,
    stream: Uint8Array,
    cuts: readonly number[],
  ): boolean {
    if (problem === undefined) return true;
    say(`failed after ${this.executions} executions, ${where}, cuts [${cuts.join(", ")}]`);
    say(problem);
    say(Buffer.from(stream).toString("hex"));
    return false;
  }
}

async function main(): Promise<number> {
  const options = fromCommandLine("fuzz", USAGE, readOptions);
  say(`seed ${options.seed}`);
  if (options.coverage) await startCoverage();
  const fuzzer = new Fuzzer(options.seed);
  const end = performance.now() + options.seconds * 1000;
  let most = 0;
  while (performance.now() < end) {
    for (let i = 0; i < BATCH; i++) if (!fuzzer.one()) return 1;
    most = Math.max(most, process.memoryUsage().rss);
    if (most > RSS_BYTES_MAX) {
      say(`memory grew to ${Math.round(most / 1e6)} MB in ${fuzzer.executions} executions`);
      return 1;
    }
  }
  const { executions, throughSessions } = fuzzer;
  say(`${executions} executions, ${throughSessions} of them through sessions`);
  say(`nothing broke in ${options.seconds} s; RSS ${Math.round(most / 1e6)} MB`);
  if (options.coverage) for (const line of await codecCoverage()) say(line);
  return 0;
}

process.exitCode = await main();
