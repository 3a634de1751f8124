/** An asynchronous call of which only so many are carried out at a time. */

/** As `call`, but at most `max` at a time; further ones wait, and begin in the order they came. */
export function limited<Arguments extends unknown[], Result>(
  max: number,
  call: (...args: Arguments) => Promise<Result>,
): (...args: Arguments) => Promise<Result> {
  const waiting: (() => void)[] = [];
  let running = 0;
  return async (...args) => {
    if (running < max) running++;
    // Whoever ends hands its place on.
    else await new Promise<void>((resolve) => waiting.push(resolve));
    try {
      return await call(...args);
    } finally {
      const next = waiting.shift();
      if (next === undefined) running--;
      else next();
    }
  };
}
