/**
 * Policies as they were made last. Plans are made anew all the time, mostly because of something
 * else: a policy of the same content is then the same object. So it is compared once in a plan, not
 * once for each peer that has it, and compiled once, however many plans its peers came with.
 */
import { isDeepStrictEqual } from "node:util";
import type { Policy } from "../bgp/rib/policy-types.ts";

interface Made {
  /** What alone it was made from; undefined = not known. */
  readonly source: object | undefined;
  readonly policy: Policy;
}

export class PolicyMemo {
  #before: ReadonlyMap<string, Made> = new Map();
  #now = new Map<string, Made>();

  /** Begins a plan; what the one before it did not ask for is forgotten. */
  begin(): void {
    this.#before = this.#now;
    this.#now = new Map();
  }

  /**
   * The policy `key`: the one that is known if it says the same as what `make` gives. `source`: the
   * object that all of it follows from; while that is the same one there is nothing to make.
   */
  keep(key: string, source: object | undefined, make: () => Policy): Policy {
    const known = this.#now.get(key) ?? this.#before.get(key);
    const same = known !== undefined && source !== undefined && known.source === source;
    const policy = same ? known.policy : again(known, make());
    this.#now.set(key, { source, policy });
    return policy;
  }
}

function again(known: Made | undefined, made: Policy): Policy {
  return known !== undefined && isDeepStrictEqual(known.policy, made) ? known.policy : made;
}
