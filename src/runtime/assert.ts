/**
 * Guards against our own bugs. Never used on input from outside: a peer, an API object, a file or
 * the kernel can be wrong without the process being wrong, and gets a typed error instead.
 */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new Error(`bug: ${message}`);
}

/** Ends a switch over a closed union, so that a new member does not compile unhandled. */
export function assertNever(value: never, what: string): never {
  throw new Error(`bug: unhandled ${what}: ${JSON.stringify(value)}`);
}
