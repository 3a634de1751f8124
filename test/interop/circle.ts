/**
 * A speaker under test in the middle of speakers made by hand: some feed it, the others hear what
 * it tells. The same circle around another program tells what ours has to say.
 */
import { FAMILIES, type IpFamily } from "../../src/ip/address.ts";
import { Injector } from "../support/peers/injector.ts";
import { Lab, neighborOf } from "../support/peers/lab.ts";
import type { PeerDaemon, PeerSetup, TestRoute } from "../support/peers/peer.ts";
import { until } from "../support/shell.ts";
import { addressOf, prefixIn } from "./families.ts";
import { normalTold, type Told } from "./told.ts";

export const OUR_AS = 65001;

/** A speaker beside the one under test. */
export interface Speaker {
  /** Its number on the link, see `addressOf`. */
  readonly host: number;
  readonly as: number;
  readonly client: boolean;
  readonly routerId: string;
  /** It tells several paths of a prefix, or hears them. */
  readonly addPath?: true;
}

/** What stands around, the same for all that are compared. */
export interface Around {
  readonly feeders: readonly Speaker[];
  readonly receivers: readonly Speaker[];
  /** Family of the sessions' addresses; each session carries both families. */
  readonly session: IpFamily;
}

export class Circle<S extends PeerDaemon = PeerDaemon> {
  readonly speaker: S;
  readonly #around: Around;
  readonly #feeders: readonly Injector[];
  readonly #receivers: readonly Injector[];

  private constructor(
    speaker: S,
    around: Around,
    feeders: readonly Injector[],
    receivers: readonly Injector[],
  ) {
    this.speaker = speaker;
    this.#around = around;
    this.#feeders = feeders;
    this.#receivers = receivers;
  }

  /** Starts all of it in `lab`. */
  static async start<S extends PeerDaemon>(
    lab: Lab,
    make: (setup: PeerSetup) => S,
    around: Around,
    options: Pick<PeerSetup, "maximumPaths"> = {},
  ): Promise<Circle<S>> {
    const { feeders, receivers, session } = around;
    const neighbor = ({ host, as, client }: Speaker, addPath: "none" | "receive" | "send") =>
      neighborOf("left", as, {
        ...{ family: session, address: addressOf(host, session), client, addPath },
        ...{ passive: true, gracefulRestart: false },
      });
    const neighbors = [
      ...feeders.map((each) => neighbor(each, each.addPath ? "receive" : "none")),
      ...receivers.map((each) => neighbor(each, each.addPath ? "send" : "none")),
    ];
    const speaker = lab.add(
      make(await lab.setup("left", "speaker", { as: OUR_AS, neighbors, ...options })),
    );
    await speaker.start();
    const injectors: Injector[] = [];
    for (const each of [...feeders, ...receivers]) {
      const { host, as, routerId } = each;
      await lab.namespaces.ip("right", `addr add ${addressOf(host, 4)}/24 dev eth0`);
      await lab.namespaces.ip("right", `addr add ${addressOf(host, 6)}/64 dev eth0 nodad`);
      const way = feeders.includes(each) ? ("send" as const) : ("receive" as const);
      const addPath = each.addPath ? { addPath: way } : {};
      const own = { localAddress: addressOf(host, session), routerId, ...addPath };
      injectors.push(lab.add(new Injector(lab, "left", as, own)));
    }
    await Promise.all(injectors.map((injector) => injector.start()));
    const cut = feeders.length;
    return new Circle(speaker, around, injectors.slice(0, cut), injectors.slice(cut));
  }

  announce(feeder: number, routes: readonly TestRoute[]): Promise<void> {
    return this.#feeders[feeder]!.announce(routes);
  }

  withdraw(feeder: number, prefixes: readonly string[], pathId?: number): Promise<void> {
    return this.#feeders[feeder]!.withdraw(prefixes, pathId);
  }

  /**
   * Each feeder tells a prefix of this number more, in each family. Sessions are read in order:
   * when the first receiver has been told of all of them, all that was said before has been read.
   */
  async mark(number: number): Promise<void> {
    const prefixes: string[] = [];
    for (const [index, { host, as, addPath }] of this.#around.feeders.entries()) {
      const inside = as === OUR_AS ? { localPref: 100 } : { asPath: `${as}` };
      const path = addPath ? { ...inside, pathId: 1 } : inside;
      const routes = FAMILIES.map((family) => ({
        prefix: prefixIn(family, `99.0.${number}.${index}/32`),
        nextHop: addressOf(host, family),
        ...path,
      }));
      await this.announce(index, routes);
      prefixes.push(...routes.map(({ prefix }) => prefix));
    }
    await until("all paths are read", async () => {
      const [first] = await this.told();
      return prefixes.every((prefix) => first![prefix] !== undefined);
    });
  }

  /** What each receiver holds. */
  told(): Promise<readonly Told[]> {
    const { receivers } = this.#around;
    return Promise.all(
      this.#receivers.map(async (each, index) => {
        return normalTold(await each.attributes(), receivers[index]!.addPath === true);
      }),
    );
  }
}

/** One circle for each of `makes`, in a lab of its own; `after` gets what removes them. */
export function circles<S extends PeerDaemon>(
  makes: readonly ((setup: PeerSetup) => S)[],
  around: Around,
  after: (remove: () => Promise<void>) => void,
  options: Pick<PeerSetup, "maximumPaths"> = {},
): Promise<readonly Circle<S>[]> {
  return Promise.all(
    makes.map(async (make) => {
      const lab = await Lab.build();
      after(() => lab.remove());
      return Circle.start(lab, make, around, options);
    }),
  );
}
