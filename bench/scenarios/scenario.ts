/** What every scenario is made of. */
import type { DaemonKind } from "../daemons/daemon.ts";

/** Numbers by the key of their {@link Measure}; what a daemon cannot do is left out. */
export type Figures = Readonly<Record<string, number>>;

export interface Measure {
  readonly key: string;
  /** Head of its column. */
  readonly label: string;
  readonly unit: "s" | "ms" | "MB" | "kB" | "";
  /** Shown as a ratio to BIRD's and GoBGP's, too. */
  readonly ratio: boolean;
}

/** A run's surroundings. */
export interface RunOptions {
  /** Divides sizes, for the smoke form; 1 in a real run. */
  readonly scale: number;
  /** Seconds of watching idle sessions. */
  readonly idleSeconds: number;
  /** Nothing that is waited for may take longer. */
  readonly timeoutMs: number;
  readonly say: (line: string) => void;
}

/** Bars of some measures for each daemon, or a measure `${measure}@${size}` against the size. */
export type Chart =
  | { readonly kind: "bars"; readonly measures: readonly string[] }
  | {
      readonly kind: "lines";
      readonly sizes: readonly number[];
      readonly of: string;
      readonly measure: string;
      /** What is drawn upwards. */
      readonly axis: string;
    };

export interface Scenario {
  readonly key: string;
  readonly title: string;
  /** How it is done, one paragraph. */
  readonly text: string;
  readonly measures: readonly Measure[];
  readonly chart: Chart;
  /** Who takes part besides daemons, or in their place. */
  readonly contestants?: readonly DaemonKind[];
  /** Whether the daemon takes part. */
  takes(kind: DaemonKind): boolean;
  /** One run of one daemon. */
  run(kind: DaemonKind, options: RunOptions): Promise<Figures>;
}

/** A run that ended early, with what it had measured by then. */
export class PartialRun extends Error {
  readonly figures: Figures;

  constructor(figures: Figures, cause: unknown) {
    super(cause instanceof Error ? cause.message : String(cause), { cause });
    this.figures = figures;
  }
}

export function seconds(from: number, to: number): number {
  return Math.max(0, to - from) / 1000;
}
