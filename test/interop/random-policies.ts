/**
 * Policies drawn from a seed, with all that a configuration file can say, and routes of both
 * families that they tell apart.
 */
import { ADDRESS_BITS, FAMILIES, type IpFamily } from "../../src/ip/address.ts";
import type { TestRoute } from "../support/peers/peer.ts";
import type {
  NeighborPolicies,
  PoliciesText,
  PolicyText,
  PrefixText,
  StatementText,
} from "../support/peers/policy-text.ts";
import { seededRandom } from "../support/speakers.ts";
import { type Around, OUR_AS, type Speaker } from "./circle.ts";
import { addressOf, lengthIn, prefixIn } from "./families.ts";

function speaker(host: number, as: number, client: boolean): Speaker {
  return { host, as, client, routerId: `10.1.0.${host}` };
}

/** Each kind of neighbour on both sides. */
export const AROUND: Omit<Around, "session"> = {
  feeders: [speaker(11, 65101, false), speaker(14, OUR_AS, true), speaker(16, OUR_AS, false)],
  receivers: [speaker(21, OUR_AS, true), speaker(22, 65200, false), speaker(23, OUR_AS, false)],
};

/** First octets: one for each feeder alone, one that all of them have, one of our own. */
const ALONE = [20, 30, 50];
const SHARED = 60;
const OWN = 40;
const COMMUNITIES = ["65001:1", "65001:2", "65101:3", "65000:4", "0:7"];
const CONFINING = ["no-export", "no-advertise", "65535:65283"];
const LARGE = ["200000:1:1", "200000:1:2", "1:2:3"];
const HOPS = [65110, 65111, 200000];
/** FRR 8.4.4 takes the largest MED of all, one more, for none where a route map sets it. */
const MED_MAX = 4294967294;
/** Of `Circle.mark`. */
const MARKS = FAMILIES.map((family) => {
  return { prefix: prefixIn(family, "99.0.0.0/8"), le: lengthIn(family, 32) };
});

/** Draws of one seed, one after another. */
export class RandomPolicies {
  readonly #random: () => number;
  #drawn = 0;

  constructor(seed: number) {
    this.#random = seededRandom(seed);
  }

  chance(share: number): boolean {
    return this.#random() < share;
  }

  /** The same ones in any order. */
  shuffled<T>(list: readonly T[]): T[] {
    const keyed = list.map((item) => ({ item, key: this.#random() }));
    return keyed.sort((a, b) => a.key - b.key).map(({ item }) => item);
  }

  /** For every neighbour; a feeder's routes come in, a receiver's go out. */
  policies(session: IpFamily): PoliciesText {
    const number = this.#drawn++;
    const of = ({ host }: Speaker, way: "import" | "export"): [string, NeighborPolicies] => {
      const names = { import: `in-${host}-${number}`, export: `out-${host}-${number}` };
      const open = (name: string): PolicyText => ({ name, default: "accept", statements: [] });
      const both = { import: open(names.import), export: open(names.export) };
      const policies = { ...both, [way]: this.#policy(names[way], way) };
      return [addressOf(host, session), policies];
    };
    return Object.fromEntries([
      ...AROUND.feeders.map((each) => of(each, "import")),
      ...AROUND.receivers.map((each) => of(each, "export")),
    ]);
  }

  /** Of one feeder. */
  routes(feeder: number): TestRoute[] {
    const of = AROUND.feeders[feeder]!;
    return FAMILIES.flatMap((family) => {
      const prefixes = [ALONE[feeder]!, SHARED].flatMap((octet) => this.#prefixes(octet));
      return prefixes.map((prefix) => this.#route(of, family, prefix));
    });
  }

  networks(): TestRoute[] {
    return FAMILIES.flatMap((family) =>
      this.#prefixes(OWN).map((prefix) => ({
        ...{ prefix: prefixIn(family, prefix), nextHop: addressOf(1, family) },
        ...this.#maybe("med", 0.4, () => this.#pick([0, 7])),
        ...this.#maybe("communities", 0.6, () => this.#some(COMMUNITIES, 2)),
      })),
    );
  }

  #prefixes(octet: number): string[] {
    const long = Array.from({ length: 10 }, (_, i) => {
      return `${octet}.0.${i}.0/${this.#pick([24, 25, 28, 32])}`;
    });
    const all = [8, 12, 16, 22].map((length) => `${octet}.0.0.0/${length}`);
    return [...all, `${octet}.1.0.0/16`, ...long].filter(() => this.chance(0.8));
  }

  #route({ host, as }: Speaker, family: IpFamily, prefix: string): TestRoute {
    const internal = as === OUR_AS;
    const hops: (number | string)[] = internal ? [] : [as];
    for (let more = this.#below(4); more > 0; more--) hops.push(this.#pick(HOPS));
    // FRR 8.4.4 compares no MED where an AS_PATH begins with a set.
    const bare = hops.length === 0 && prefix.startsWith(`${SHARED}.`);
    if (this.chance(0.15) && !bare) hops.push(`{${this.#pick(HOPS)} 65112}`);
    const communities = [
      ...(this.chance(0.8) ? this.#some(COMMUNITIES, 3) : []),
      ...(this.chance(0.08) ? [this.#pick(["65535:65281", "65535:65282", "65535:65283"])] : []),
    ];
    return {
      ...{ prefix: prefixIn(family, prefix), nextHop: addressOf(host, family) },
      asPath: hops.join(" "),
      origin: this.#pick(["igp", "igp", "egp", "incomplete"]),
      ...this.#maybe("med", 0.5, () => this.#pick([0, 10])),
      ...(internal ? { localPref: this.#pick([100, 100, 70]) } : {}),
      ...(communities.length === 0 ? {} : { communities }),
      ...this.#maybe("largeCommunities", 0.5, () => this.#some(LARGE, 2)),
      ...this.#maybe("extendedCommunities", 0.2, () => ["0002fde80000000a"]),
      ...this.#maybe("aggregator", 0.2, () => "200000 192.0.2.7"),
      atomicAggregate: this.chance(0.1),
      ...(internal && this.chance(0.4)
        ? { originatorId: "10.1.0.5", clusterList: ["10.2.0.1"] }
        : {}),
    };
  }

  #policy(name: string, way: "import" | "export"): PolicyText {
    const marks: StatementText = { match: { prefixes: MARKS }, set: {}, result: "accept" };
    const drawn = Array.from({ length: this.#below(6) }, () => this.#statement(way));
    const otherwise = this.chance(0.85) ? "accept" : "reject";
    return { name, default: otherwise, statements: [marks, ...drawn] };
  }

  #statement(way: "import" | "export"): StatementText {
    return {
      match: {
        ...this.#maybe("prefixes", 0.5, () => this.#prefixMatches()),
        ...this.#maybe("communities", 0.35, () => this.#some([...COMMUNITIES, "no-export"], 3)),
        ...this.#maybe("largeCommunities", 0.2, () => this.#some(LARGE, 2)),
        ...(this.chance(0.3) ? this.#lengths() : {}),
        ...this.#maybe("originated", 0.15, () => this.chance(0.5)),
      },
      set: {
        ...this.#maybe("localPref", 0.3, () => this.#pick([0, 50, 100, 200, 4294967295])),
        ...this.#maybe("med", 0.3, () => this.#pick([0, 5, 100, MED_MAX])),
        ...this.#maybe("addCommunities", 0.35, () => this.#communities()),
        ...this.#maybe("removeCommunities", 0.3, () => this.#communities()),
        ...this.#maybe("addLargeCommunities", 0.25, () => this.#some(LARGE, 2)),
        ...this.#maybe("prepend", 0.25, () => ({
          as: this.#pick([OUR_AS, 65010, 200000]),
          count: 1 + this.#below(4),
        })),
        ...(way === "export" ? this.#maybe("nextHopSelf", 0.15, () => true as const) : {}),
      },
      result: this.#pick(["accept", "reject", "next", "next", "next", "next"]),
    };
  }

  #communities(): string[] {
    const confining = this.chance(0.15) ? [this.#pick(CONFINING)] : [];
    return [...this.#some(COMMUNITIES, 3), ...confining];
  }

  #lengths(): Pick<StatementText["match"], "asPathLengthMin" | "asPathLengthMax"> {
    const min = this.#below(5);
    const max = { asPathLengthMax: min + this.#below(3) };
    return this.#pick([{ asPathLengthMin: min }, max, { asPathLengthMin: min, ...max }]);
  }

  /** Of one family or of both. */
  #prefixMatches(): PrefixText[] {
    const families = this.#pick([FAMILIES, FAMILIES, [4], [6]] as const);
    return this.#list(3, () => this.#prefixMatch(this.#pick(families)));
  }

  #prefixMatch(family: IpFamily): PrefixText {
    const octet = this.#pick([...ALONE, SHARED, OWN]);
    const rest = this.#pick([
      "0.0.0/8",
      "0.0.0/12",
      "0.0.0/16",
      "0.4.0/22",
      "0.5.0/24",
      "1.0.0/16",
    ]);
    const prefix = prefixIn(family, this.chance(0.15) ? "0.0.0.0/0" : `${octet}.${rest}`);
    const length = Number(prefix.split("/")[1]);
    const ge = length + this.#below(ADDRESS_BITS[family] - length + 1);
    const le = ge + this.#below(ADDRESS_BITS[family] - ge + 1);
    return this.#pick([
      prefix,
      { prefix, ge },
      { prefix, le },
      { prefix, ge, le },
      { prefix, ge: length, le },
      { prefix, ge, le: ge },
    ]);
  }

  #below(limit: number): number {
    return Math.floor(this.#random() * limit);
  }

  #pick<T>(list: readonly T[]): T {
    return list[this.#below(list.length)]!;
  }

  #list<T>(max: number, draw: () => T): T[] {
    return Array.from({ length: 1 + this.#below(max) }, draw);
  }

  /** Different ones of the list. */
  #some<T>(list: readonly T[], max: number): T[] {
    return [...new Set(this.#list(max, () => this.#pick(list)))];
  }

  #maybe<K extends string, T>(key: K, share: number, draw: () => T): { readonly [k in K]?: T } {
    return this.chance(share) ? ({ [key]: draw() } as { readonly [k in K]: T }) : {};
  }
}
