/** Capabilities of both sides in words, each named as `gobgp neighbor ADDRESS` names it. */
import type { PeerStatus } from "../agent/admin-protocol.ts";

type Capability = PeerStatus["capabilities"]["local"][number];
type Kind = Capability["kind"];

const NAMES = {
  multiprotocol: "multiprotocol",
  routeRefresh: "route-refresh",
  enhancedRouteRefresh: "enhanced-route-refresh",
  extendedNextHop: "extended-nexthop",
  extendedMessage: "extended-message",
  fourOctetAs: "4-octet-as",
  gracefulRestart: "graceful-restart",
  longLivedGracefulRestart: "long-lived-graceful-restart",
  addPath: "add-path",
  fqdn: "fqdn",
  softwareVersion: "software-version",
  unknown: "unknown",
} as const satisfies Record<Kind, string>;

const ADD_PATH_MODES = { 1: "receive", 2: "send", 3: "send and receive" } as const;

/** Lines for all capabilities that either side sent, in a fixed order. */
export function capabilityLines(capabilities: PeerStatus["capabilities"]): readonly string[] {
  const lines: string[] = [];
  for (const kind of Object.keys(NAMES) as Kind[]) {
    const local = capabilities.local.filter((capability) => capability.kind === kind);
    const remote = capabilities.remote.filter((capability) => capability.kind === kind);
    if (local.length + remote.length === 0) continue;
    if (kind === "multiprotocol") lines.push(...eachByText(NAMES[kind], local, remote));
    else if (kind === "unknown") lines.push(...unknownLines(local, remote));
    else lines.push(...oneKind(NAMES[kind], local, remote));
  }
  return lines;
}

function oneKind(
  name: string,
  local: readonly Capability[],
  remote: readonly Capability[],
): readonly string[] {
  const lines = [`    ${name}: ${whoSent(local.length > 0, remote.length > 0)}`];
  for (const [side, list] of [
    ["Local", local],
    ["Remote", remote],
  ] as const) {
    for (const capability of list) {
      const [first, ...rest] = details(capability);
      if (first === undefined) continue;
      lines.push(`      ${side}: ${first}`, ...rest.map((line) => `        ${line}`));
    }
  }
  return lines;
}

/** Capabilities that say all with one word: `ipv4-unicast: advertised and received`. */
function eachByText(
  name: string,
  local: readonly Capability[],
  remote: readonly Capability[],
): readonly string[] {
  const words = (list: readonly Capability[]): string[] => list.flatMap(details);
  const localWords = words(local);
  const remoteWords = words(remote);
  const all = new Set([...localWords, ...remoteWords]);
  return [
    `    ${name}:`,
    ...[...all].map(
      (word) => `      ${word}: ${whoSent(localWords.includes(word), remoteWords.includes(word))}`,
    ),
  ];
}

function unknownLines(
  local: readonly Capability[],
  remote: readonly Capability[],
): readonly string[] {
  const codes = (list: readonly Capability[]): number[] =>
    list.flatMap((capability) => (capability.kind === "unknown" ? [capability.code] : []));
  const localCodes = codes(local);
  const remoteCodes = codes(remote);
  return [...new Set([...localCodes, ...remoteCodes])].map(
    (code) =>
      `    unknown (${code}): ${whoSent(localCodes.includes(code), remoteCodes.includes(code))}`,
  );
}

function whoSent(local: boolean, remote: boolean): string {
  return local && remote ? "advertised and received" : local ? "advertised" : "received";
}

function familyName(family: 4 | 6): string {
  return `ipv${family}-unicast`;
}

/** What a capability says beyond its presence; the first line goes beside the side's name. */
function details(capability: Capability): readonly string[] {
  switch (capability.kind) {
    case "multiprotocol":
      return [familyName(capability.family)];
    case "extendedNextHop":
      return capability.entries.map(
        (entry) => `nlri: ${familyName(entry.family)}, nexthop: ipv${entry.nextHopFamily}`,
      );
    case "gracefulRestart":
      return [
        `restart time ${capability.restartSeconds} sec${capability.restarted ? ", restarted" : ""}${
          capability.notification ? ", notification" : ""
        }`,
        ...capability.families.map(
          ({ family, forwardingPreserved }) =>
            familyName(family) + (forwardingPreserved ? ", forward flag set" : ""),
        ),
      ];
    case "longLivedGracefulRestart":
      return capability.families.map(
        ({ family, staleSeconds }) => `${familyName(family)}, stale time ${staleSeconds} sec`,
      );
    case "addPath":
      return capability.families.map(
        ({ family, mode }) => `${familyName(family)}: ${ADD_PATH_MODES[mode]}`,
      );
    case "fourOctetAs":
      return [`AS ${capability.as}`];
    case "fqdn":
      return [`name ${capability.hostName}, domain ${capability.domainName || "-"}`];
    case "softwareVersion":
      return [capability.version];
    case "routeRefresh":
    case "enhancedRouteRefresh":
    case "extendedMessage":
    case "unknown":
      return [];
  }
}
