import type { Random } from "./clock.ts";

export interface BackoffOptions {
  readonly firstMs: number;
  readonly maxMs: number;
  /** Growth for each failure in a row; 2 unless told. */
  readonly factor?: number;
  /** Share of the delay that is random, 0 to 1; 0.25 unless told (RFC 4271 §10 jitter). */
  readonly jitter?: number;
}

/**
 * Delay before try number `failures + 1`, in ms: exponential, cut at `maxMs`, then shortened by a
 * random share so that a thousand agents that failed together do not come back together.
 */
export function backoffMs(options: BackoffOptions, failures: number, random: Random): number {
  const factor = options.factor ?? 2;
  const jitter = options.jitter ?? 0.25;
  const full = Math.min(options.maxMs, options.firstMs * factor ** Math.min(failures, 64));
  return full * (1 - jitter * random());
}
