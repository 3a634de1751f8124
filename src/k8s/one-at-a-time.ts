/**
 * Credentials for requests, made once for all who wait for them, and in a bounded time. They may
 * come from a program (`exec` of a kubeconfig), which may never end: each new try would leave one
 * more of it behind.
 */
import type { Clock } from "../runtime/clock.ts";
import { CREDENTIALS_MS_MAX } from "./limits.ts";

/** `make`, of which no second one runs beside the first; fails when that takes too long. */
export function oneAtATime<T>(make: () => Promise<T>, clock: Clock): () => Promise<T> {
  let running: Promise<T> | undefined;
  return () => {
    running ??= make().finally(() => {
      running = undefined;
    });
    return inTime(running, clock);
  };
}

function inTime<T>(made: Promise<T>, clock: Clock): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = clock.after(CREDENTIALS_MS_MAX, () => {
      const seconds = CREDENTIALS_MS_MAX / 1000;
      const reason = `not there after ${seconds} s: the credential plugin does not end`;
      reject(new Error(`${reason}, and no second one is started`));
    });
    made.then(resolve, reject).finally(() => timer.cancel());
  });
}
