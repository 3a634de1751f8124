/** The runs of one daemon in one scenario, between which others have theirs. */
import type { DaemonKind } from "./daemons/daemon.ts";
import { type DaemonResult, machineFacts } from "./results.ts";
import { type Figures, PartialRun, type RunOptions, type Scenario } from "./scenarios/scenario.ts";

/** What takes longer is measured once. */
const SLOW_SECONDS = 150;

export class DaemonRuns {
  readonly kind: DaemonKind;
  readonly #version: string;
  readonly #runs: Figures[] = [];
  #problem: string | undefined;
  #slow = false;

  constructor(kind: DaemonKind, version: string) {
    this.kind = kind;
    this.#version = version;
  }

  /** One that failed is not tried again. */
  get goesOn(): boolean {
    return this.#problem === undefined && !this.#slow;
  }

  async run(scenario: Scenario, options: RunOptions): Promise<void> {
    const { label } = this.kind;
    const { say } = options;
    const begin = performance.now();
    try {
      const figures = await scenario.run(this.kind, options);
      this.#runs.push(figures);
      const took = ((performance.now() - begin) / 1000).toFixed(1);
      say(`${label}, run ${this.#runs.length} (${took} s): ${figuresText(figures)}`);
      this.#slow = Number(took) > SLOW_SECONDS;
    } catch (error) {
      const problem = error instanceof Error ? error.message : String(error);
      say(`${label}: ${problem}`);
      if (error instanceof PartialRun) this.#runs.push(error.figures);
      this.#problem = problem.split("\n")[0]!.slice(0, 300);
    }
  }

  result(): DaemonResult {
    return {
      label: this.kind.label,
      version: this.#version,
      measuredAt: new Date().toISOString(),
      machine: machineFacts(),
      runs: this.#runs,
      ...(this.#problem === undefined ? {} : { problem: this.#problem }),
    };
  }
}

function figuresText(figures: Figures): string {
  return Object.entries(figures)
    .map(([key, value]) => `${key} ${Number(value.toPrecision(3))}`)
    .join(", ");
}
