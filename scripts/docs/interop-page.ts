/** docs/interop.md from the table of daemons that the interop tests hold against the daemons. */
import { DAEMONS, type DaemonRow, FEATURES, type Feature } from "../../test/interop/daemons.ts";
import { MALFORMED_NOTES, MALFORMED_SEEN } from "../../test/interop/malformed.ts";
import { NEWER_DAEMONS, NEWER_NOTES } from "../../test/interop/newer-daemons.ts";
import { BULK_SCENARIOS, cases, SCENARIOS } from "../../test/interop/scenarios.ts";
import { NEWER_SUITE } from "../../test/support/newer-debian.ts";
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
  softwareVersion: "software version (75)",
  "unknown 128": "128 (route refresh before its RFC)",
  "unknown 76": "76 (limit of paths, a draft)",
};

/** The newer version beside the older one. */
const ALL: readonly DaemonRow[] = DAEMONS.flatMap((daemon) => [
  daemon,
  ...NEWER_DAEMONS.filter(({ name }) => name === daemon.name),
]);
const COLUMNS = ALL.map(({ name, version }) => `${name} ${version}`);

const HEAD = `${generatedFrom("test/interop/daemons.ts")}

# Tested against five daemons

\`npm run test:interop\` runs our speaker against BIRD, FRR, GoBGP, OpenBGPD and ExaBGP from Debian
packages, each in a network namespace of its own, as internal and as external peer. It needs root and
the packages; without them its tests are skipped, and under \`CI=true\` they fail. FRR is its bgpd
alone, without zebra. Every session that is looked at below is also captured, and what we sent must be
decoded by \`tcpdump -v\` and \`tshark\` without a complaint.

With \`INTEROP_DEBIAN=${NEWER_SUITE}\` the daemons are those of Debian ${NEWER_SUITE}, in a folder that
\`npm run bench -- newer-debian\` makes by debootstrap: a test says which versions ran,
and where that Debian is not there the tests are skipped, or under \`CI=true\` fail. FRR has its
zebra there, for newer ones know an IPv6 address of their own by it alone, and answer an OPEN with
IPv6 with Cease where they know none.
`;

/** The page. */
export function interopPage(): string {
  return [HEAD, versions(), capabilities(), features(), newer(), malformed(), scenarios()].join(
    "\n",
  );
}

function versions(): string {
  const rows = ALL.map((daemon) => {
    const suite = NEWER_DAEMONS.includes(daemon) ? `, Debian ${NEWER_SUITE}` : "";
    return [daemon.name, daemon.version, `\`${daemon.package}\`${suite}`];
  });
  return `## Versions\n\n${table(["daemon", "version", "Debian package"], rows)}\n`;
}

function capabilities(): string {
  const all = [...new Set([...OURS, ...ALL.flatMap(capabilitiesOf)])].sort();
  const rows = all.map((name) => [
    WORDS[name] ?? name,
    ...ALL.map((daemon) => {
      const what = agreed(OURS.includes(name), capabilitiesOf(daemon).includes(name));
      return daemon.capabilitiesInside?.includes(name) === true ? `${what} (inside)` : what;
    }),
  ]);
  return `## What the OPENs agree on

With graceful restart and both families on, and nothing else turned on; "(inside)" is told to internal
peers alone. A test compares each daemon's OPEN with this table.

${table(["capability (RFC or code)", ...COLUMNS], rows)}
`;
}

function capabilitiesOf({ capabilities, capabilitiesInside = [] }: DaemonRow): readonly string[] {
  return [...capabilities, ...capabilitiesInside];
}

function agreed(ours: boolean, theirs: boolean): string {
  if (ours) return theirs ? "yes" : "ours only";
  return theirs ? "theirs only" : "";
}

function features(): string {
  const notes: string[] = [];
  const rows = Object.entries(FEATURES).map(([key, text]) => [
    text,
    ...ALL.map((daemon) => {
      const why = daemon.lacks[key as Feature];
      if (why === undefined) return "yes";
      // What all versions of a daemon lack for the same reason is said once.
      const versions = ALL.filter(({ name }) => name === daemon.name);
      const all = versions.every(({ lacks }) => lacks[key as Feature] === why);
      const version = all ? "" : ` ${daemon.version}`;
      const note = `${daemon.name}${version}, "${text}": ${why}.`;
      if (!notes.includes(note)) notes.push(note);
      return `no (${notes.indexOf(note) + 1})`;
    }),
  ]);
  return `## What each version has

"yes" is tested. "no" was seen, not read, unless it says that there is no such option.

${table(["", ...COLUMNS], rows)}

${notes.map((note, index) => `${index + 1}. ${note}`).join("\n")}
`;
}

function newer(): string {
  const notes = NEWER_NOTES.map((note) => `- ${note}`).join("\n");
  return `## What the newer versions do otherwise\n\n${notes}\n`;
}

function malformed(): string {
  const rows = Object.entries(MALFORMED_SEEN).map(([name, seen]) => [
    name,
    ...COLUMNS.map((daemon) => seen[daemon] ?? "takes it"),
  ]);
  return `## Attributes that are only passed on, of a wrong length

What each does with a route that has an attribute whose lengths its RFC forbids. We keep to that
RFC: a route with a malformed PREFIX_SID is passed on without it, one with another of these is taken
for withdrawn. So no peer of ours ends our sessions with others by such lengths; contents, which the
notes below name, are passed on as they are.

${table(["", ...COLUMNS], rows)}

${MALFORMED_NOTES.map((note) => `- ${note}`).join("\n")}
`;
}

function scenarios(): string {
  const all = [...SCENARIOS, ...BULK_SCENARIOS];
  const run = cases(all, ALL);
  const rows = all.map((scenario) => [
    scenario.name,
    ...ALL.map((daemon) => kindsOf(daemon, scenario.name, run)),
  ]);
  return `## The scenarios

\`i\` as internal peer, \`e\` as external peer.

${table(["scenario", ...COLUMNS], rows)}
`;
}

function kindsOf(daemon: DaemonRow, scenario: string, run: ReturnType<typeof cases>): string {
  return run
    .filter((each) => each.daemon === daemon && each.scenario.name === scenario)
    .map((each) => each.kind[0])
    .join(" ");
}
