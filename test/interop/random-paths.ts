/**
 * Paths of many speakers to few prefixes, drawn from a seed so that they tie, often and late in the
 * decision process (RFC 4271 §9.1.2, RFC 4456 §9), with every attribute that is passed on.
 */
import type { IpFamily } from "../../src/ip/address.ts";
import type { TestRoute } from "../support/peers/peer.ts";
import { seededRandom } from "../support/speakers.ts";
import { OUR_AS, type Speaker } from "./circle.ts";
import { addressOf, linkLocalOf, prefixIn } from "./families.ts";

function speaker(host: number, as: number, router: number, client = false): Speaker {
  return { host, as, client, routerId: `10.1.0.${router}` };
}

/**
 * In no order: that of addresses and that of identifiers differ, and two share an identifier. One
 * is a reflector that tells several paths of a prefix (ADD-PATH), each of another router.
 */
export const FEEDERS: readonly Speaker[] = [
  speaker(11, 65101, 40),
  speaker(12, 65102, 20),
  speaker(13, 65101, 20),
  speaker(14, OUR_AS, 70, true),
  { ...speaker(15, OUR_AS, 25, true), addPath: true },
  speaker(16, OUR_AS, 15),
  speaker(17, OUR_AS, 60),
];

/** What a feeder does: announces a path, or withdraws it. */
export interface Step {
  readonly feeder: number;
  readonly prefix: string;
  readonly pathId: number | undefined;
  readonly route: TestRoute | undefined;
}

const PREFIXES = 20;
/** Of four announcements, about one is taken back. */
const WITHDRAWN = 0.2;
const ASNS = [65101, 65102, 65110, 65111, 200000];
const LOOPS = { as: OUR_AS, originator: "10.0.0.1", cluster: "10.0.0.1" };

export interface PathKinds {
  readonly family: IpFamily;
  /** Link-local addresses behind some IPv6 next hops. */
  readonly linkLocals: boolean;
  /** AS paths that begin with a set. */
  readonly setsFirst: boolean;
  /** MED also where paths of one prefix come by way of several ASes. */
  readonly medAcross: boolean;
}

/** The same steps for the same seed, others for each family. */
export function randomSteps(seed: number, count: number, kinds: PathKinds): Step[] {
  const { family } = kinds;
  const linkLocals = kinds.linkLocals && family === 6;
  const random = seededRandom(seed + family * 2 ** 20);
  const chance = (share: number) => random() < share;
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)]!;
  const some = <T>(share: number, value: () => T) => (chance(share) ? value() : undefined);

  function asPath({ as }: Speaker, oneNeighbor: boolean): string {
    const hops: (number | string)[] = as === OUR_AS ? [] : [as];
    if (as === OUR_AS && oneNeighbor) hops.push(65101);
    for (let more = pick([0, 1, 1, 1]); more > 0; more--) hops.push(pick(ASNS));
    if (chance(0.15) && (kinds.setsFirst || hops.length > 0)) hops.push(`{${pick(ASNS)} 65112}`);
    if (chance(0.03)) hops.push(LOOPS.as);
    return hops.join(" ");
  }

  function attributes(feeder: Speaker, pathId: number | undefined, number: number, one: boolean) {
    const internal = feeder.as === OUR_AS;
    const reflected = internal && (pathId !== undefined || chance(0.7));
    const originator = () =>
      pathId === undefined ? pick(["10.1.0.5", "10.1.0.5", "10.1.0.90"]) : `10.1.0.${50 + pathId}`;
    // Of others than clients BIRD reads no cluster list.
    const cluster = () =>
      feeder.client && chance(0.05) ? LOOPS.cluster : pick(["10.2.0.1", "10.2.0.2"]);
    return {
      nextHop: addressOf(feeder.host, family),
      linkLocal: some(linkLocals ? 0.3 : 0, () => linkLocalOf(feeder.host)),
      origin: some(0.3, () => pick(["egp", "incomplete"] as const)) ?? "igp",
      asPath: asPath(feeder, one),
      med: some(one || kinds.medAcross ? 0.7 : 0, () => pick([0, 10, 20])),
      localPref: internal ? (some(0.1, () => pick([200, 0])) ?? 100) : undefined,
      atomicAggregate: chance(0.1),
      aggregator: some(0.2, () => `${pick([65110, 200000])} 192.0.2.7`),
      // Sorted, as BIRD sends them; the first tells the path.
      communities: [
        `65000:${number}`,
        ...(some(0.1, () => [pick(["65535:65281", "65535:65282", "65535:65283"])]) ?? []),
      ],
      extendedCommunities: some(0.2, () => [pick(["0002fde80000000a", "4004fde80000000b"])]),
      largeCommunities: some(0.2, () => ["200000:1:2"]),
      opaque: some(0.2, () => [
        { type: pick([99, 211]), flags: pick([0xc0, 0xe0]), hex: "616263" },
      ]),
      originatorId: reflected ? (some(0.1, () => LOOPS.originator) ?? originator()) : undefined,
      clusterList: reflected ? Array.from({ length: pick([1, 2, 3]) }, cluster) : undefined,
    };
  }

  return Array.from({ length: count }, (_, number) => {
    const feeder = Math.floor(random() * FEEDERS.length);
    const index = Math.floor(random() * PREFIXES);
    const prefix = prefixIn(family, `20.0.${index}.0/24`);
    const of = FEEDERS[feeder]!;
    const pathId = of.addPath ? pick([1, 2, 3]) : undefined;
    const oneNeighbor = !kinds.medAcross && index % 2 === 0;
    const silent = oneNeighbor && of.as === 65102;
    if (chance(WITHDRAWN) || silent) return { feeder, prefix, pathId, route: undefined };
    const set = Object.entries({ prefix, pathId, ...attributes(of, pathId, number, oneNeighbor) });
    const known = set.filter(([, value]) => value !== undefined);
    return { feeder, prefix, pathId, route: Object.fromEntries(known) as unknown as TestRoute };
  });
}
