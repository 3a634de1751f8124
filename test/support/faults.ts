/**
 * Failures at a port: chosen calls do not come to a good end. A controller that is level-triggered
 * is right again some time after any of them, so one scenario is run once to count its calls, then
 * once for each call and way to fail, and then with pairs at random.
 *
 * FAULT_RUNS: how many pairs are tried, 60 unless told.
 */
import fc from "fast-check";
import type { Clock } from "../../src/runtime/clock.ts";

/**
 * `refused`: nothing was done. `lost`: it was done, and the answer says that it was not. `late`: it
 * is done, long after. `stuck`: nothing is done, and it takes long to say so.
 */
export const FAULT_KINDS = ["refused", "lost", "late", "stuck"] as const;
export type FaultKind = (typeof FAULT_KINDS)[number];

export interface Fault {
  /** Which call, from 1. */
  readonly at: number;
  readonly kind: FaultKind;
  /** Name of the error. */
  readonly code: string;
}

/** How long what is late takes: longer than any adapter waits for the kernel. */
export const LATE_MS = 2500;
const RUNS = Number(process.env["FAULT_RUNS"] ?? 60);

export class FaultyPort {
  /** Names of the calls, in order. */
  readonly calls: string[] = [];
  readonly #faults: ReadonlyMap<number, Fault>;
  readonly #clock: Clock;
  readonly #errorOf: (code: string, call: string) => Error;

  constructor(
    faults: readonly Fault[],
    clock: Clock,
    errorOf: (code: string, call: string) => Error,
  ) {
    this.#faults = new Map(faults.map((fault) => [fault.at, fault]));
    this.#clock = clock;
    this.#errorOf = errorOf;
  }

  /** The port, with its calls of these names counted and made to fail. */
  around<T extends object>(port: T, names: readonly (keyof T & string)[]): T {
    const counted = new Set<string | symbol>(names);
    return new Proxy(port, {
      get: (target, name) => {
        const value: unknown = Reflect.get(target, name, target);
        if (typeof value !== "function") return value;
        if (!counted.has(name)) return value.bind(target);
        return (...given: unknown[]) => this.call(String(name), () => value.apply(target, given));
      },
    });
  }

  /** One counted call. */
  async call<T>(name: string, run: () => Promise<T>): Promise<T> {
    this.calls.push(name);
    const fault = this.#faults.get(this.calls.length);
    if (fault === undefined) return run();
    const { kind, code } = fault;
    if (kind === "late" || kind === "stuck") {
      await new Promise<void>((resolve) => this.#clock.after(LATE_MS, resolve));
    }
    if (kind === "late") return run();
    if (kind === "lost") await run();
    throw this.#errorOf(code, name);
  }
}

/** Runs with the faults given; gives how many calls it made. */
export type FaultScenario = (faults: readonly Fault[]) => Promise<number>;

/** The scenario with each single fault. A failure names the fault. */
export async function withEachFault(
  scenario: FaultScenario,
  codes: readonly string[],
  kinds: readonly FaultKind[] = FAULT_KINDS,
): Promise<void> {
  const calls = await scenario([]);
  for (let at = 1; at <= calls; at++) {
    for (const kind of kinds) {
      for (const code of kind === "late" ? codes.slice(0, 1) : codes) {
        await naming([{ at, kind, code }], scenario);
      }
    }
  }
}

/** The scenario with pairs of faults at random; the second one may come in the healing. */
export async function withPairsOfFaults(
  scenario: FaultScenario,
  codes: readonly string[],
  kinds: readonly FaultKind[] = FAULT_KINDS,
): Promise<void> {
  const calls = await scenario([]);
  const fault = fc.record({
    at: fc.integer({ min: 1, max: calls + 5 }),
    kind: fc.constantFrom(...kinds),
    code: fc.constantFrom(...codes),
  });
  await fc.assert(
    fc.asyncProperty(fault, fault, fc.integer({ min: 1, max: 6 }), async (one, other, gap) => {
      await scenario([one, other]);
      await scenario([one, { ...other, at: one.at + gap }]);
    }),
    { numRuns: RUNS },
  );
}

async function naming(faults: readonly Fault[], scenario: FaultScenario): Promise<void> {
  try {
    await scenario(faults);
  } catch (error) {
    const text = faults.map(({ at, kind, code }) => `call ${at} ${kind} ${code}`).join(", ");
    throw new Error(`with ${text}`, { cause: error });
  }
}
