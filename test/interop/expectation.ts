/** What a route must look like after a session, and the comparison that says where it does not. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import type { IpFamily } from "../../src/ip/address.ts";
import type { OpaqueText, PeerDaemon, SeenRoute, TestRoute } from "../support/peers/peer.ts";
import { until } from "../support/shell.ts";
import { AS, type Kind } from "./peering.ts";

/** Only the keys that are there are compared. */
export type ExpectedRoute = Partial<SeenRoute> & { readonly prefix: string };

const PARTIAL = 0x20;

/** What the receiver of an originated route must show, RFC 4271 §5.1. */
export function expectOriginated(
  route: TestRoute,
  kind: Kind,
  sender: { readonly as: number },
): ExpectedRoute {
  const { prefix, nextHop, origin = "igp", asPath = "", med, aggregator, opaque } = route;
  const path = kind === "ibgp" ? asPath : `${sender.as} ${asPath}`.trim();
  return {
    prefix,
    nextHop,
    origin,
    asPath: path,
    ...(med === undefined ? {} : { med }),
    ...(kind === "ibgp" ? { localPref: route.localPref ?? 100 } : {}),
    communities: route.communities ?? [],
    largeCommunities: route.largeCommunities ?? [],
    extendedCommunities: route.extendedCommunities ?? [],
    aggregator,
    atomicAggregate: route.atomicAggregate === true,
    opaque: partial(opaque ?? []),
  };
}

/** RFC 4271 §9: who does not know an optional transitive attribute keeps it, marked partial. */
function partial(opaque: readonly OpaqueText[]): OpaqueText[] {
  return opaque.map((each) => ({ ...each, flags: (each.flags ?? 0) | PARTIAL }));
}

/**
 * What must be left of a route of the external injector after a speaker has passed it on: all
 * transitive attributes as they were, unknown ones marked partial, and MED only inside the AS.
 */
export function expectPassedOn(
  route: TestRoute,
  kind: Kind,
  sender: { readonly as: number },
): ExpectedRoute {
  const { localPref, med, ...rest } = route;
  void localPref;
  const inside = kind === "ibgp" ? { med } : { med: undefined };
  const expected = { ...expectOriginated(rest, kind, sender), ...inside };
  const { nextHop, ...others } = expected;
  const transitive = (route.opaque ?? []).filter((each) => ((each.flags ?? 0) & 0x40) !== 0);
  return { ...others, ...(kind === "ibgp" ? { nextHop } : {}), opaque: partial(transitive) };
}

/** Compares the expected keys; a daemon that hides the flags of an attribute is not asked. */
export function assertRoute(seen: SeenRoute, expected: ExpectedRoute, who: string): void {
  const shown: Record<string, unknown> = {};
  const wanted: Record<string, unknown> = {};
  for (const key of Object.keys(expected) as (keyof SeenRoute)[]) {
    wanted[key] = normal(key, expected[key], seen);
    shown[key] = normal(key, seen[key], seen);
  }
  assert.deepEqual(shown, wanted, `${expected.prefix} as ${who} shows it`);
}

function normal(key: keyof SeenRoute, value: unknown, seen: SeenRoute): unknown {
  if (key === "opaque") {
    return (value as readonly OpaqueText[]).map((each) => opaqueWords(each, seen.opaque)).sort();
  }
  // Lists of communities are sets, RFC 1997, RFC 4360 §7, RFC 8092 §3.
  return Array.isArray(value) && key !== "clusterList" ? [...value].sort() : value;
}

/** Words to compare: no flags where the daemon hides them, and no more octets than it shows. */
function opaqueWords(attribute: OpaqueText, seen: readonly OpaqueText[]): string {
  const { type, hex, flags } = attribute;
  const shown = seen.find((each) => each.type === type);
  const cut = shown?.hex.endsWith("...") === true ? shown.hex.length - 3 : hex.length;
  const digest = createHash("sha256").update(hex.slice(0, cut)).digest("hex").slice(0, 16);
  const visible = shown?.flags === undefined ? "?" : flags;
  return `${type} flags ${visible}, ${cut / 2} octets, sha256 ${digest}`;
}

/** Waits until a speaker shows exactly these routes from a neighbour, and compares each. */
export async function seesRoutes(
  speaker: PeerDaemon,
  neighbor: string,
  family: IpFamily,
  expected: readonly ExpectedRoute[],
): Promise<void> {
  const wanted = expected.map((route) => route.prefix).sort();
  let seen: readonly SeenRoute[] = [];
  await until(`${speaker.name} has ${wanted.join(", ") || "no route"}`, async () => {
    seen = await speaker.routes(neighbor, family);
    return prefixesOf(seen).join() === wanted.join();
  }).catch((late: Error) => {
    throw new Error(`${late.message}; it has ${prefixesOf(seen).join(", ")}`, { cause: late });
  });
  for (const route of expected) {
    assertRoute(seen.find((each) => each.prefix === route.prefix)!, route, speaker.name);
  }
}

export function prefixesOf(routes: readonly SeenRoute[]): string[] {
  return routes.map((route) => route.prefix).sort();
}

/** AS path of a route of the injector, which puts its own AS in front. */
export function injectedPath(rest: string): string {
  return `${AS.injector} ${rest}`.trim();
}
