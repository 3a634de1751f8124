/** docs/interop.md from the table of daemons that the interop tests hold against the daemons. */
import { DAEMONS, type DaemonRow, FEATURES, type Feature } from "../../test/interop/daemons.ts";
import { BULK_SCENARIOS, cases, SCENARIOS } from "../../test/interop/scenarios.ts";
import { generatedFrom, table } from "./table.ts";

/** What our OPEN in these tests announces, next to what a scenario turns on. */
const OURS = [
  "enhancedRouteRefresh",
  "extendedNextHop",
  "fourOctetAs",
  "fqdn",
  "gracefulRestart",
  "multiprotocol 4",
  "multiprotocol 6",
  "routeRefresh",
];

/** Capabilities of one side alone; a scenario turns our side of them on. */
const WORDS: Readonly<Record<string, string>> = {
  addPath: "add-path (7911)",
  enhancedRouteRefresh: "enhanced route refresh (7313)",
  extendedMessage: "extended messages (8654)",
  extendedNextHop: "extended next hop (8950)",
  fourOctetAs: "four-octet AS (6793)",
  fqdn: "FQDN (73)",
  gracefulRestart: "graceful restart (4724)",
  longLivedGracefulRestart: "long-lived graceful restart (9494)",
  "multiprotocol 4": "IPv4 unicast (4760)",
  "multiprotocol 6": "IPv6 unicast (4760)",
  routeRefresh: "route refresh (2918)",
  "unknown 128": "128 (route refresh before its RFC)",
};

const HEAD = `${generatedFrom("test/interop/daemons.ts")}

# Tested against five daemons

\`npm run test:interop\` runs our speaker against BIRD, FRR, GoBGP, OpenBGPD and ExaBGP from Debian
packages, each in a network namespace of its own, as internal and as external peer. It needs root and
the packages; without them its tests are skipped, and under \`CI=true\` they fail. FRR is its bgpd
alone, without zebra. Every session that is looked at below is also captured, and what we sent must be
decoded by \`tcpdump -v\` and \`tshark\` without a complaint.
`;

/** The page. */
export function interopPage(): string {
  return [HEAD, versions(), capabilities(), features(), scenarios()].join("\n");
}

function versions(): string {
  const rows = DAEMONS.map((daemon) => [daemon.name, daemon.version, `\`${daemon.package}\``]);
  return `## Versions\n\n${table(["daemon", "version", "Debian package"], rows)}\n`;
}

function capabilities(): string {
  const all = [...new Set([...OURS, ...DAEMONS.flatMap((daemon) => daemon.capabilities)])].sort();
  const rows = all.map((name) => [
    WORDS[name] ?? name,
    ...DAEMONS.map((daemon) => agreed(OURS.includes(name), daemon.capabilities.includes(name))),
  ]);
  return `## What the OPENs agree on

With graceful restart and both families on, and nothing else turned on. A test compares each daemon's
OPEN with this table.

${table(["capability (RFC or code)", ...DAEMONS.map((daemon) => daemon.name)], rows)}
`;
}

function agreed(ours: boolean, theirs: boolean): string {
  if (ours) return theirs ? "yes" : "ours only";
  return theirs ? "theirs only" : "";
}

function features(): string {
  const notes: string[] = [];
  const rows = Object.entries(FEATURES).map(([key, text]) => [
    text,
    ...DAEMONS.map((daemon) => {
      const why = daemon.lacks[key as Feature];
      if (why === undefined) return "yes";
      notes.push(`${daemon.name}, "${text}": ${why}.`);
      return `no (${notes.length})`;
    }),
  ]);
  return `## What each version has

"yes" is tested. "no" was seen, not read, unless it says that there is no such option.

${table(["", ...DAEMONS.map((daemon) => daemon.name)], rows)}

${notes.map((note, index) => `${index + 1}. ${note}`).join("\n")}
`;
}

function scenarios(): string {
  const all = [...SCENARIOS, ...BULK_SCENARIOS];
  const run = cases(all);
  const rows = all.map((scenario) => [
    scenario.name,
    ...DAEMONS.map((daemon) => kindsOf(daemon, scenario.name, run)),
  ]);
  return `## The scenarios

\`i\` as internal peer, \`e\` as external peer.

${table(["scenario", ...DAEMONS.map((daemon) => daemon.name)], rows)}
`;
}

function kindsOf(daemon: DaemonRow, scenario: string, run: ReturnType<typeof cases>): string {
  return run
    .filter((each) => each.daemon === daemon && each.scenario.name === scenario)
    .map((each) => each.kind[0])
    .join(" ");
}
