/** What bgpd's `show bgp … json` says of routes. */
import { extendedCommunityOfText, originOfText, type SeenRoute, seenRoute } from "./peer.ts";

export interface FrrPath {
  readonly aspath?: { readonly string: string };
  readonly origin: string;
  readonly metric?: number;
  readonly locPrf?: number;
  readonly stale?: boolean;
  readonly bestpath?: unknown;
  readonly multipath?: boolean;
  readonly community?: { readonly string: string };
  readonly largeCommunity?: { readonly string: string };
  readonly extendedCommunity?: { readonly string: string };
  readonly aggregatorAs?: number;
  readonly aggregatorId?: string;
  readonly atomicAggregate?: boolean;
  readonly originatorId?: string;
  readonly clusterList?: { readonly list: readonly string[] };
  readonly nexthops?: readonly { readonly ip: string; readonly scope?: string }[];
  readonly peer?: { readonly peerId: string };
}

export function routeOf(prefix: string, path: FrrPath): SeenRoute {
  const words = (value: { readonly string: string } | undefined) =>
    value === undefined ? [] : value.string.split(" ");
  const asPath = path.aspath?.string ?? "";
  return seenRoute({
    prefix,
    origin: originOfText(path.origin),
    asPath:
      asPath === "Local"
        ? ""
        : asPath.replaceAll(/\{([^}]*)\}/g, (_, set: string) => {
            return `{${set.replaceAll(",", " ")}}`;
          }),
    nextHop: globalNextHops(path)[0],
    med: path.metric,
    localPref: path.locPrf,
    communities: words(path.community),
    largeCommunities: words(path.largeCommunity),
    extendedCommunities: words(path.extendedCommunity).map(extendedCommunityOfText),
    aggregator:
      path.aggregatorAs === undefined ? undefined : `${path.aggregatorAs} ${path.aggregatorId}`,
    atomicAggregate: path.atomicAggregate === true,
    originatorId: path.originatorId,
    clusterList: path.clusterList?.list ?? [],
    stale: path.stale === true,
  });
}

function globalNextHops({ nexthops = [] }: FrrPath): readonly string[] {
  return nexthops.filter(({ scope }) => scope !== "link-local").map(({ ip }) => ip);
}

/** The JSON documents that several `show` commands print one after another. */
export function splitJson(text: string): unknown[] {
  return text
    .split(/^(?=\{)/m)
    .filter((part) => part.trim() !== "")
    .map((part) => JSON.parse(part) as unknown);
}

interface FrrListed {
  readonly routes: Readonly<Record<string, readonly FrrPath[]>>;
}

/** Next hops of the best path and of those that are used beside it, by prefix. */
export function usedNextHops(listed: string): Readonly<Record<string, readonly string[]>> {
  const { routes } = JSON.parse(listed) as FrrListed;
  return Object.fromEntries(
    Object.entries(routes).map(([prefix, paths]) => {
      const used = paths.filter((path) => path.bestpath !== undefined || path.multipath === true);
      return [prefix, used.flatMap((path) => globalNextHops(path))];
    }),
  );
}
