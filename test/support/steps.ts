/**
 * How much of our code a piece of work runs through, counted and not timed: V8's precise coverage
 * says how often each block of each function was entered, the bodies of loops included. What
 * built-in functions walk for us (`[...list]`, `new Set(list)`, `list.slice()`) is no code of ours:
 * that is counted at the iterators, and at the methods that copy or search.
 *
 * To be imported before anything that is counted: what was compiled before has no counters.
 */
import { Session } from "node:inspector";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = join(import.meta.dirname, "..", "..");
const OURS = /^(?:src|packages\/[^/]+\/src)\//;
/** What built-in functions walk is counted from so many elements on. */
const WALK_MIN = 50;
/** Of the stack of whoever began the walk. */
const FRAMES_MAX = 12;

/**
 * By `file function`: times that its blocks were entered. By `file function: walk`: elements that
 * built-in functions walked over for it.
 */
export type Steps = ReadonlyMap<string, number>;

interface ScriptCoverage {
  readonly url: string;
  readonly functions: readonly FunctionCoverage[];
}

interface FunctionCoverage {
  readonly functionName: string;
  /** The first is the function as a whole. */
  readonly ranges: readonly {
    readonly startOffset: number;
    readonly endOffset: number;
    readonly count: number;
  }[];
}

const session = new Session();
session.connect();
post("Profiler.enable");
post("Profiler.startPreciseCoverage", { callCount: true, detailed: true });

/** What the work takes until its promise is settled. */
export async function stepsOf(work: () => unknown): Promise<Steps> {
  const steps = new Map<string, number>();
  const add = (where: string, count: number) => {
    steps.set(where, (steps.get(where) ?? 0) + count);
  };
  takeCoverage();
  const unwatch = watchWalks((where, count) => add(`${where}: walk`, count));
  try {
    await work();
  } finally {
    unwatch();
  }
  for (const { url, functions } of takeCoverage()) {
    const file = fileOf(url);
    if (file === undefined) continue;
    for (const one of functions) {
      const count = one.ranges.reduce((sum, range) => sum + range.count, 0);
      if (count > 0) add(`${file} ${nameOf(one, functions)}`, count);
    }
  }
  return steps;
}

export function total(steps: Steps): number {
  return [...steps.values()].reduce((sum, count) => sum + count, 0);
}

/** Counts since the last call. */
function takeCoverage(): readonly ScriptCoverage[] {
  const { result } = post("Profiler.takePreciseCoverage") as {
    readonly result: readonly ScriptCoverage[];
  };
  return result;
}

/** The inspector of the own process answers at once. */
function post(method: string, parameters: object = {}): unknown {
  let answer: unknown;
  session.post(method, parameters, (error, result) => {
    if (error !== null) throw error;
    answer = result;
  });
  return answer;
}

/** Relative to the project; undefined = not ours. */
function fileOf(url: string): string | undefined {
  if (!url.startsWith("file:")) return undefined;
  const file = relative(ROOT, fileURLToPath(url));
  return OURS.test(file) ? file : undefined;
}

/** Its own name, or that of the nearest function around it that has one. */
function nameOf(one: FunctionCoverage, all: readonly FunctionCoverage[]): string {
  const [{ startOffset: from, endOffset: to } = { startOffset: 0, endOffset: 0 }] = one.ranges;
  let name = one.functionName;
  let nearest = Number.POSITIVE_INFINITY;
  if (name !== "") return name;
  for (const { functionName, ranges } of all) {
    const [range] = ranges;
    if (functionName === "" || range === undefined) continue;
    const size = range.endOffset - range.startOffset;
    if (range.startOffset > from || range.endOffset < to || size >= nearest) continue;
    [name, nearest] = [functionName, size];
  }
  return name === "" ? "(top level)" : name;
}

type Found = (where: string, count: number) => void;

/** Methods that copy, move or search elements without a call of ours for each. */
const WALKERS: readonly [object, readonly string[]][] = [
  [
    Array.prototype,
    ["slice", "concat", "splice", "indexOf", "lastIndexOf", "includes", "join", "reverse"].concat([
      "fill",
      "flat",
      "copyWithin",
      "toReversed",
      "toSpliced",
      "with",
      "shift",
      "unshift",
    ]),
  ],
  [
    Object.getPrototypeOf(Uint8Array.prototype) as object,
    ["slice", "set", "fill", "indexOf", "includes", "copyWithin", "sort", "join"],
  ],
];

/** How many at most. */
function extent(method: string, length: number, values: readonly unknown[]): number {
  const number = (at: number, otherwise: number) => {
    const value = values[at] === undefined ? otherwise : Number(values[at]);
    return value < 0 ? length + value : Math.min(length, value);
  };
  switch (method) {
    case "set":
      return (values[0] as ArrayLike<unknown>).length;
    case "slice":
      return number(1, length) - number(0, 0);
    case "fill":
    case "copyWithin":
      return number(2, length) - number(1, 0);
    case "splice":
      return length - number(0, 0);
    default:
      return length;
  }
}

const ITERATORS: readonly object[] = [
  [][Symbol.iterator](),
  new Map()[Symbol.iterator](),
  new Set()[Symbol.iterator](),
].map((iterator) => Object.getPrototypeOf(iterator) as object);

type Method = (this: unknown, ...values: readonly unknown[]) => unknown;

/** Gives what ends it. */
function watchWalks(found: Found): () => void {
  const undo: (() => void)[] = [];
  const patch = (of: object, key: string, make: (original: Method) => Method) => {
    const descriptor = Object.getOwnPropertyDescriptor(of, key)!;
    const value = make(descriptor.value as Method);
    Object.defineProperty(of, key, { ...descriptor, value });
    undo.push(() => Object.defineProperty(of, key, descriptor));
  };
  for (const [of, keys] of WALKERS) {
    for (const key of keys) {
      patch(of, key, (original) => {
        return function (this: unknown, ...values) {
          const { length } = this as { readonly length: number };
          const count = length < WALK_MIN && key !== "set" ? 0 : extent(key, length, values);
          const where = count < WALK_MIN ? undefined : whoWalks();
          if (where !== undefined) found(where, count);
          return Reflect.apply(original, this, values);
        };
      });
    }
  }
  for (const iterator of ITERATORS) {
    patch(iterator, "next", (original) => {
      const walks = new WeakMap<object, { count: number; where: string | undefined }>();
      return function (this: unknown) {
        const walk = walks.get(this as object) ?? { count: 0, where: undefined };
        if (++walk.count === 1) walks.set(this as object, walk);
        if (walk.count === WALK_MIN) walk.where = whoWalks();
        if (walk.where !== undefined) found(walk.where, walk.count === WALK_MIN ? WALK_MIN : 1);
        return Reflect.apply(original, this, []);
      };
    });
  }
  return () => {
    for (const one of undo) one();
  };
}

/** The nearest function of ours on the stack; undefined = a test walks, or what it brings along. */
function whoWalks(): string | undefined {
  const before = Error.stackTraceLimit;
  Error.stackTraceLimit = FRAMES_MAX;
  const { stack = "" } = new Error();
  Error.stackTraceLimit = before;
  for (const line of stack.split("\n").slice(1)) {
    const [, name, url = ""] = /^ +at (?:(.*) \()?(file:.*?):\d+:\d+\)?$/.exec(line) ?? [];
    if (url === "" || url === import.meta.url) continue;
    const file = fileOf(url);
    return file === undefined ? undefined : `${file} ${name ?? "(anonymous)"}`;
  }
  return undefined;
}
