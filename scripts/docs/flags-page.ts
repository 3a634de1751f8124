/** docs/flags.md from the table of flags. */
import { ABSENT_PARTS, FOREIGN_FLAGS, RUN_FLAGS } from "../../src/agent/flags.ts";
import { KUBE_ROUTER_FLAGS } from "./kube-router-flags.ts";
import { generatedFrom, table } from "./table.ts";

/** What of a flag is shown. */
export interface ShownFlag {
  readonly name: string;
  readonly group: string;
  readonly default: string;
  readonly help: string;
  readonly value: { readonly expects: string };
}

export const FLAGS: readonly ShownFlag[] = Object.values(RUN_FLAGS);

const HEAD = `${generatedFrom("src/agent/flags.ts")}

# The flags of \`podrouter run\`

Names and meanings are kube-router's where it has the flag; a default that differs says so. Durations
are written as in Go: \`90s\`, \`1m30s\`, \`2h\`. A boolean alone means true; \`--flag=false\` and
\`--flag=true\` are kube-router's forms. A flag given twice counts as given last,
unless it says that it may be given several times. A wrong value ends the start with a sentence that
names the flag, its value and what was expected; every wrong value is named, not only the first. A
flag that is not known ends it before that, with all of kube-router's that are refused.

## Exit codes

Of every command: 0, it is done; 2, the command line asks for what cannot be; 1, anything else did
not work out. So after a 2 the command line needs a change, or what its flags rely on.

| code | when |
|---|---|
| 2 | an unknown command or flag, a wrong value, a flag of a part that is not here, a name that several peers have |
| 2 | no kubeconfig or service account that can be read and used, and no Nodes known from an earlier run |
| 2 | \`--enable-overlay\` on a kernel that lacks what \`--overlay-encap\` asks for |
| 2 | \`podrouter cleanup\` without a terminal to ask on and without \`--yes\` |
| 1 | a configuration file (\`--config\`) that is missing or wrong at the start |
| 1 | \`podrouter check\` finds a configuration file or a file of passwords missing or wrong; for a flag it is 2 |
| 1 | another agent runs here, or the socket for the commands cannot be made |
| 1 | a command finds no agent, gets no answer, or may not ask; there is no such peer, or no path to what was asked for |
| 1 | \`podrouter cleanup\` without the right, beside an agent that runs, or with something left over or not to be looked at |
| 1 | a bug: the last line of the log says which |

What can come by itself is no end but a condition, and is tried again: an API server that does not
answer, a \`--nodes-file\` that is not there yet, a port that is taken, a file that went wrong while
the agent runs.
`;

/** The page. */
export function flagsPage(): string {
  const groups = [...new Set(FLAGS.map((flag) => flag.group))];
  const sections = groups.map((group) => groupSection(group));
  return `${[HEAD, ...sections, kubeRouterSection()].join("\n")}`;
}

function groupSection(group: string): string {
  const rows = FLAGS.filter((flag) => flag.group === group).map((flag) => [
    `\`${written(flag)}\``,
    flag.default === "" ? "" : `\`${flag.default}\``,
    flag.value.expects,
    flag.help,
  ]);
  const title = group.replace(/:$/, "");
  return `## ${title}\n\n${table(["flag", "default", "takes", "meaning"], rows)}\n`;
}

function written(flag: ShownFlag): string {
  return `${flag.name.length === 1 ? "-" : "--"}${flag.name}`;
}

function kubeRouterSection(): string {
  const rows = KUBE_ROUTER_FLAGS.map(([name, theirs]) => [
    `\`${name.length === 1 ? "-" : "--"}${name}\``,
    theirs === "" ? "" : `\`${theirs}\``,
    treatment(name, theirs),
  ]);
  return `## kube-router's flags, one by one

Those of kube-router 2.11 that concern routing, and what podrouter does with each. A flag that is
refused ends the start with the sentence given here.

${table(["flag", "kube-router's default", "here"], rows)}
`;
}

/**
 * What becomes of a flag of kube-router here.
 * @throws {Error} when nothing is said of it: the tables in flags.ts are not whole then.
 */
export function treatment(name: string, theirs: string): string {
  const flag = FLAGS.find((candidate) => candidate.name === name);
  if (flag !== undefined) {
    return flag.default === theirs ? "taken" : `taken; default ${shown(flag.default)}`;
  }
  const part = ABSENT_PARTS[name];
  if (part !== undefined) return `\`false\` is taken; \`true\` is refused: no part for ${part}`;
  const foreign = FOREIGN_FLAGS.find(({ pattern }) => pattern.test(name));
  if (foreign === undefined) throw new Error(`nothing is said of kube-router's --${name}`);
  return `refused: ${foreign.reason}`;
}

function shown(text: string): string {
  return text === "" ? "empty" : `\`${text}\``;
}
