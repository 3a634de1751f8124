/** What the newer versions of Debian sid have otherwise than those of {@link DAEMONS}. */
import { DAEMONS, type DaemonRow, type Feature } from "./daemons.ts";

interface Change extends Partial<Omit<DaemonRow, "name" | "make" | "lacks">> {
  /** What it lacks otherwise; undefined for what it has by now. */
  readonly lacks?: Readonly<Partial<Record<Feature, string | undefined>>>;
}

const CHANGES: Readonly<Record<string, Change>> = {
  BIRD: {
    package: "bird3",
    version: "3.4.0",
    lacks: {
      nonTransitive:
        'it withdraws the route: "Malformed bgp_unknown_0xca attribute - conflicting flags (80, ' +
        'expected c0)"',
      showsOpaque: "`show route all` has their types and not their values",
    },
  },
  FRR: {
    version: "10.7.1",
    capabilities: [
      "addPath",
      "enhancedRouteRefresh",
      "extendedMessage",
      "fourOctetAs",
      "fqdn",
      "gracefulRestart",
      "longLivedGracefulRestart",
      "multiprotocol 4",
      "multiprotocol 6",
      "routeRefresh",
      "unknown 76",
    ],
    lacks: { twoOctetAggregator: undefined },
  },
  GoBGP: {
    version: "4.8.0",
    capabilities: [
      "extendedMessage",
      "extendedNextHop",
      "fourOctetAs",
      "fqdn",
      "gracefulRestart",
      "multiprotocol 4",
      "multiprotocol 6",
      "routeRefresh",
    ],
    capabilitiesInside: ["softwareVersion"],
    lacks: { extendedMessage: undefined, holdTimeZero: undefined },
  },
};

/** Why their choice among random paths is not compared with ours. */
export const NEWER_NOT_COMPARED =
  "With deterministic MED BIRD 3.4.0 and FRR 10.7.1 go on with a path that is not the best any more: " +
  "BIRD with one of a longer AS_PATH, FRR with one that another of the same AS has eliminated by " +
  "its MED, and that it shows as the best of that AS";

/** What no row of the table says; each was seen. */
export const NEWER_NOTES: readonly string[] = [
  "BIRD 3.4.0 and FRR 10.7.1 take a route with a set in its AS_PATH for withdrawn (RFC 9774), unless " +
    "told `allow as sets on` and `no bgp reject-as-sets`, as they are in these tests. We pass sets on.",
  `${NEWER_NOT_COMPARED}.`,
  "BIRD 3.4.0 asks for route refresh by `reload bgp in`; `reload in` is gone.",
  "BIRD 3.4.0 and FRR 10.7.1 with a role (RFC 9234) peer with us, who have none. We pass on the OTC " +
    "that BIRD attaches as provider like any attribute that we do not know. With `require roles on` " +
    "and `strict-mode` they refuse the session, and our last error says Role Mismatch.",
  "FRR 10.7.1, when told to, announces software version (75), dynamic capability (67) and link-local " +
    "next hops (77): we show the first, and nothing is done by the others, for we announce neither.",
  "FRR 10.7.1 tells external peers a link bandwidth that is not transitive (RFC 4360 §6 has it stay " +
    "inside); 8.4.4 and we do not.",
];

/** In the order of {@link DAEMONS}; Debian has no newer OpenBGPD there that is put into it. */
export const NEWER_DAEMONS: readonly DaemonRow[] = DAEMONS.flatMap((daemon) => {
  const change = CHANGES[daemon.name];
  if (change === undefined) return [];
  const { lacks = {}, ...rest } = change;
  const all = { ...daemon.lacks, ...lacks };
  const left = Object.entries(all).filter(([, why]) => why !== undefined);
  return [{ ...daemon, ...rest, lacks: Object.fromEntries(left) }];
});
