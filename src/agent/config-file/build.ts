/**
 * Content of a configuration file → what the speaker takes. Pure: the secrets that the file names
 * come in as a function, and a peer whose secret cannot be had is left out with a problem rather
 * than run without a password.
 */
import type {
  Policy,
  PolicyMatch,
  PolicyStatement,
  PrefixMatch,
} from "../../bgp/rib/policy-types.ts";
import type { OriginatedRoute, PeerConfig } from "../../bgp/types.ts";
import { FAMILIES, familyOf, type IpAddress, type IpFamily } from "../../ip/address.ts";
import { PolicyMemo } from "../policy-memo.ts";
import {
  type ConfigFile,
  matchedLengths,
  type PeerGroupSection,
  type PeerSection,
  type PolicySection,
} from "./schema.ts";

/** What holds where neither peer nor group says otherwise. */
export interface PeerDefaults {
  readonly holdSeconds: number;
  readonly port: number;
  /** Undefined = graceful restart is off. */
  readonly restartSeconds: number | undefined;
  /** Our own addresses, best first: next hops by family where the session itself gives none. */
  readonly ownAddresses: readonly IpAddress[];
}

/** A password by the name of its file, or why there is none. */
export type ReadSecret = (
  file: string,
) =>
  | { readonly ok: true; readonly secret: string }
  | { readonly ok: false; readonly problem: string };

export interface BuiltPeers {
  readonly peers: readonly PeerConfig[];
  /** Addresses of those that are left out. */
  readonly leftOut: readonly IpAddress[];
  readonly problems: readonly string[];
}

type Settings = Omit<PeerSection, "name" | "address" | "group">;

const FAMILY: Readonly<Record<"ipv4" | "ipv6", IpFamily>> = { ipv4: 4, ipv6: 6 };

/** One PeerConfig for each peer of the file. */
export function buildPeers(
  file: ConfigFile,
  defaults: PeerDefaults,
  readSecret: ReadSecret,
  memo = new PolicyMemo(),
): BuiltPeers {
  const groups = new Map(file.peerGroups.map((group) => [group.name, group]));
  const policies = new Map(
    file.policies.map((section) => {
      const policy = memo.keep(`file ${section.name}`, section, () => buildPolicy(section));
      return [section.name, policy];
    }),
  );
  const peers: PeerConfig[] = [];
  const leftOut: IpAddress[] = [];
  const problems: string[] = [];
  for (const peer of file.peers) {
    const group = peer.group === undefined ? undefined : groups.get(peer.group);
    const settings = merge(group, peer);
    const secret =
      settings.passwordFile === undefined ? undefined : readSecret(settings.passwordFile);
    if (secret?.ok === false) {
      leftOut.push(peer.address);
      problems.push(`peer ${peer.name} is left out: ${secret.problem}`);
      continue;
    }
    peers.push(buildPeer(peer, settings, defaults, policies, secret?.secret));
  }
  return { peers, leftOut, problems };
}

/** Peer over group, key by key; a key that is absent, or undefined, says nothing. */
function merge(group: PeerGroupSection | undefined, peer: PeerSection): Settings {
  const said = Object.entries(peer).filter(([, value]) => value !== undefined);
  return { ...group, ...Object.fromEntries(said) };
}

function buildPeer(
  peer: PeerSection,
  settings: Settings,
  defaults: PeerDefaults,
  policies: ReadonlyMap<string, Policy>,
  password: string | undefined,
): PeerConfig {
  // A set: said in another order, or twice, it is the same session.
  const said = settings.families?.map((family) => FAMILY[family]) ?? [familyOf(peer.address)];
  const families = FAMILIES.filter((family) => said.includes(family));
  const own = settings.localAddress === undefined ? [] : [settings.localAddress];
  return {
    name: peer.name,
    address: peer.address,
    port: settings.port ?? defaults.port,
    remoteAs: settings.remoteAs === "any" ? undefined : settings.remoteAs,
    localAs: settings.localAs,
    localAddress: settings.localAddress,
    nextHops: nextHopsByFamily([...own, ...defaults.ownAddresses]),
    nextHopsByLink: true,
    passive: settings.passive ?? false,
    holdSeconds: settings.holdTime ?? defaults.holdSeconds,
    families,
    gracefulRestart: gracefulRestart(settings, defaults),
    enhancedRouteRefresh: settings.enhancedRouteRefresh ?? true,
    extendedMessage: settings.extendedMessage ?? true,
    addPath: settings.addPath ?? "none",
    password,
    ttlSecurity: settings.ttlSecurity ?? false,
    multihopTtl: settings.multihopTtl ?? 1,
    bindInterface: settings.bindInterface,
    routeReflectorClient: settings.routeReflectorClient ?? false,
    nextHopSelf: settings.nextHopSelf ?? false,
    importPolicy: settings.import === undefined ? undefined : policies.get(settings.import),
    exportPolicy: settings.export === undefined ? undefined : policies.get(settings.export),
    maximumPrefixes:
      settings.maximumPrefixes === undefined
        ? undefined
        : {
            limit: settings.maximumPrefixes.limit,
            warningPercent: settings.maximumPrefixes.warningPercent,
            restartSeconds: settings.maximumPrefixes.restart,
          },
    shutdown: shutdownOf(settings.shutdown),
  };
}

function gracefulRestart(
  settings: Settings,
  defaults: PeerDefaults,
): PeerConfig["gracefulRestart"] {
  const own = settings.gracefulRestart;
  const enabled = own?.enabled ?? defaults.restartSeconds !== undefined;
  if (!enabled) return undefined;
  return {
    restartSeconds: own?.restartTime ?? defaults.restartSeconds ?? 90,
    notification: own?.notification ?? true,
    longLivedSeconds: own?.longLivedStaleTime,
  };
}

function shutdownOf(value: boolean | string | undefined): PeerConfig["shutdown"] {
  if (value === undefined || value === false) return undefined;
  return { message: value === true ? "" : value };
}

/** The first address of each family. */
function nextHopsByFamily(addresses: readonly IpAddress[]): readonly IpAddress[] {
  return FAMILIES.flatMap((family) => {
    const found = addresses.find((address) => familyOf(address) === family);
    return found === undefined ? [] : [found];
  });
}

/** Policy of the file in the RIB's form. */
function buildPolicy(section: PolicySection): Policy {
  return {
    name: section.name,
    defaultResult: section.default,
    statements: section.statements.map(
      (statement, index): PolicyStatement => ({
        name: statement.name ?? `${section.name}[${index}]`,
        match: buildMatch(statement.match ?? {}),
        set: defined(statement.set ?? {}),
        result: statement.result,
      }),
    ),
  };
}

type MatchSection = NonNullable<PolicySection["statements"][number]["match"]>;

function buildMatch(match: MatchSection): PolicyMatch {
  const prefixes = match.prefixes?.map(
    (entry): PrefixMatch => ({ prefix: entry.prefix, ...matchedLengths(entry) }),
  );
  return defined({ ...match, prefixes });
}

/** Without the keys whose value is undefined: `exactOptionalPropertyTypes` tells them apart. */
function defined<T extends object>(value: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  const entries = Object.entries(value).filter(([, entry]) => entry !== undefined);
  return Object.fromEntries(entries) as { [K in keyof T]: Exclude<T[K], undefined> };
}

/** Networks to announce; without a next hop of their own, our address towards each peer is it. */
export function buildNetworks(file: ConfigFile): readonly OriginatedRoute[] {
  return file.networks.map(({ prefix, nextHop, communities, med }) => ({
    prefix,
    nextHop,
    communities,
    med,
  }));
}
