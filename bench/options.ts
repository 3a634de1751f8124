/** The command line of the bench: its options, what is wrong with them, and the usage text. */
import { join } from "node:path";
import { numberOf, parsed, UsageError } from "../scripts/command-line.ts";
import { SCENARIOS } from "./scenarios/scenarios.ts";

export interface BenchOptions {
  /** Scenarios, `all`, `newer-debian` or `report`; none = list what there is. */
  readonly names: readonly string[];
  readonly runs: number;
  /** Keys; undefined = every daemon that is here. */
  readonly daemons: readonly string[] | undefined;
  readonly out: string;
  readonly scale: number;
  readonly idleSeconds: number;
  readonly timeoutSeconds: number;
  readonly profile: string | undefined;
  readonly bundle: string | undefined;
}

const OUT = join(import.meta.dirname, "..", "docs", "performance");
/** Words that stand alone, in the place of scenarios. */
const WORDS = ["all", "newer-debian", "report"];

/**
 * The options of a command line.
 * @throws {UsageError} an option or a scenario that is not known, or a value that is none.
 */
export function readOptions(args: readonly string[]): BenchOptions {
  const { values, positionals } = parsed({
    args: [...args],
    allowPositionals: true,
    options: {
      runs: { type: "string", default: "3" },
      daemons: { type: "string" },
      out: { type: "string", default: OUT },
      scale: { type: "string", default: "1" },
      idle: { type: "string", default: "60" },
      timeout: { type: "string", default: "300" },
      profile: { type: "string" },
      bundle: { type: "string" },
    },
  });
  const known = (name: string): boolean => SCENARIOS.some(({ key }) => key === name);
  const wrong = positionals.find((name) => !known(name) && !WORDS.includes(name));
  if (wrong !== undefined) {
    throw new UsageError(`no scenario ${wrong}; without arguments all are listed`);
  }
  return {
    names: positionals,
    runs: numberOf("--runs", values.runs, 1),
    daemons: values.daemons?.split(","),
    out: values.out,
    scale: numberOf("--scale", values.scale, 1, false),
    idleSeconds: numberOf("--idle", values.idle, 0, false),
    timeoutSeconds: numberOf("--timeout", values.timeout, 1, false),
    profile: values.profile,
    bundle: values.bundle,
  };
}

/** What `--help` prints. */
export function usage(): string {
  const scenarios = SCENARIOS.map(({ key, title }) => `  ${key.padEnd(18)} ${title}`);
  return `Usage: npm run bench -- [SCENARIO…|all] [options]

Measures BGP daemons in turn under equal settings, in network namespaces that it makes and removes.
Needs root. Without a scenario it lists scenarios and daemons, and which of these are not here.

Scenarios:
${scenarios.join("\n")}
  all                each of these
In their place:
  report             tables, charts and page again from the JSON files, without measuring
  newer-debian       makes the folder with newer daemons (debootstrap)

Options:
  --daemons A,B      only these daemons (default: every one that is here)
  --runs N           runs of each daemon; one that takes minutes is not repeated (default 3)
  --out FOLDER       where the results go (default: docs/performance of this checkout)
  --timeout SECONDS  the most that anything is waited for (default 300)
  --idle SECONDS     how long idle sessions are watched in s3-idle and s8 (default 60)
  --scale N          sizes divided by N, for a quick look (default 1)
  --profile FOLDER   writes a CPU profile of the agent for each run
  --bundle FILE      measures this build instead of the checkout's
  --help             this text

Results are a JSON file and a chart for each scenario in the folder of --out, and the page beside it
(FOLDER.md): without --out, docs/performance and docs/performance.md of this checkout are rewritten.

With three runs each, podrouter and BIRD take 2 to 15 seconds for a scenario, 40 seconds for s8, a
minute for each of the change-… ones, and more than that for s3-idle; the heaviest daemon takes
minutes for a single run of s1 or change-prefixes, and all scenarios with every daemon about an hour.

Examples:
  npm run bench -- s1 s3 --runs 3 --out /tmp/bench
  npm run bench -- s1 --daemons bird,podrouter --out /tmp/bench
`;
}
