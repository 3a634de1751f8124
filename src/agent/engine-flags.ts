/**
 * What the agent asks of V8 for itself, wherever it runs: its flags, set when the process is up.
 * Among the options of Node.js they would make it refuse its own compiled code at every start.
 *
 * V8's compilers run beside the event loop, on cores that the kernel and everything else on the
 * node need as well: on two cores an agent that took its first table had about a third of one for
 * the event loop. V8's figures are those of a program that is busy for minutes; here all is over in
 * a blink, and then there is nothing to do.
 *
 * Two bursts are told apart. Sessions that come up run a lot of code, each part of it a few times a
 * session: of hundreds of them Maglev would compile hundreds of functions that then are hardly
 * called for a minute. A table runs little code, for each prefix: that is worth compiling at once.
 * TurboFan pays with a full table only: of 100,000 routes the kernel works three times as long as
 * we do, and to compile then takes the cores from those who are waited for.
 *
 * Cases: `npm run bench -- s1 s2o s3 s3-1000 s5 s5-100k`
 */

/**
 * The collector of young garbage has helpers, for which the event loop waits; on a node whose cores
 * are busy with something else it waited up to 100 ms for 1 ms of work.
 */
const COLLECT_ALONE = "--no-parallel-scavenge";
/** Runs of a function before TurboFan takes it. */
const TURBOFAN_LATE = "--invocation-count-for-turbofan=200000";
/** The same of Maglev, while sessions come up. */
const MAGLEV_LATE = "--invocation-count-for-maglev=4000";
const MAGLEV_AS_USUAL = "--invocation-count-for-maglev=400";

/** V8's own. Compiled code that is kept is good under the flags only with which it was kept. */
export const USUAL_FLAGS: readonly string[] = [
  ...["--parallel-scavenge", "--invocation-count-for-turbofan=10000", MAGLEV_AS_USUAL],
];

export class EngineFlags {
  readonly #set: (flag: string) => void;
  #haveTable = false;

  /** @param set `setFlagsFromString` of `node:v8` */
  constructor(set: (flag: string) => void) {
    this.#set = set;
    for (const flag of [COLLECT_ALONE, TURBOFAN_LATE, MAGLEV_LATE]) set(flag);
  }

  /** A table is about to be read. All further calls do nothing. */
  tableComes(): void {
    if (this.#haveTable) return;
    this.#haveTable = true;
    this.#set(MAGLEV_AS_USUAL);
  }
}
