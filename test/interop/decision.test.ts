/**
 * Random paths of seven speakers to us and to BIRD: what each then tells an internal client and an
 * external peer is the same to the octet, so both choose the same path, whatever came before. The
 * environment variable INTEROP_SEED draws others.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Bird } from "../support/peers/bird.ts";
import { Injector } from "../support/peers/injector.ts";
import { Lab, neighborOf } from "../support/peers/lab.ts";
import type { PeerDaemon, PeerSetup } from "../support/peers/peer.ts";
import { Podrouter } from "../support/peers/podrouter.ts";
import { requireReal } from "../support/real.ts";
import { hasProgram, until } from "../support/shell.ts";
import { labUnavailable } from "./available.ts";
import { FEEDERS, OUR_AS, randomSteps, type Speaker } from "./random-paths.ts";

const RECEIVERS: readonly Speaker[] = [
  { address: "10.0.0.21", as: OUR_AS, client: true, routerId: "10.1.0.91" },
  { address: "10.0.0.22", as: 65200, client: false, routerId: "10.1.0.92" },
];
const ROUNDS = 10;
const STEPS = 150;
const NEXT_HOP = "400304";

/** What each receiver holds: attributes by prefix. */
type Told = readonly Readonly<Record<string, string>>[];

/** One speaker with all that stand around it. */
class Circle {
  readonly #feeders: readonly Injector[];
  readonly #receivers: readonly Injector[];

  private constructor(feeders: readonly Injector[], receivers: readonly Injector[]) {
    this.#feeders = feeders;
    this.#receivers = receivers;
  }

  static async start(lab: Lab, make: (setup: PeerSetup) => PeerDaemon): Promise<Circle> {
    const around = [...FEEDERS, ...RECEIVERS];
    const neighbors = around.map(({ address, as, client }) =>
      neighborOf("left", as, { address, client, passive: true, gracefulRestart: false }),
    );
    const left = lab.add(make(await lab.setup("left", "speaker", { as: OUR_AS, neighbors })));
    await left.start();
    const injectors: Injector[] = [];
    for (const { address, as, routerId } of around) {
      await lab.namespaces.ip("right", `addr add ${address}/24 dev eth0`);
      const own = { localAddress: address, routerId };
      injectors.push(lab.add(new Injector(lab, "left", as, own)));
    }
    await Promise.all(injectors.map((injector) => injector.start()));
    return new Circle(injectors.slice(0, FEEDERS.length), injectors.slice(FEEDERS.length));
  }

  async feed(seed: number, round: number): Promise<void> {
    const steps = randomSteps(seed + round, STEPS).map(({ feeder, prefix, route }) => {
      const injector = this.#feeders[feeder]!;
      return route === undefined ? injector.withdraw([prefix]) : injector.announce([route]);
    });
    await Promise.all(steps);
    // Sessions are read in order: whose last path is told has been read to its end.
    for (const [index, { address, as }] of FEEDERS.entries()) {
      const asPath = as === OUR_AS ? "" : `${as}`;
      const prefix = `10.99.${round}.${index}/32`;
      await this.#feeders[index]!.announce([{ prefix, nextHop: address, asPath }]);
    }
    const last = FEEDERS.map((_, index) => `200a63${hex(round)}${hex(index)}`);
    await until("all paths are read", async () => {
      const [client] = await this.told();
      return last.every((key) => client![key] !== undefined);
    });
  }

  async told(): Promise<Told> {
    const [client, external] = await Promise.all(this.#receivers.map((each) => each.attributes()));
    // RFC 4271 §5.1.3: BIRD names the speaker on the same link as next hop, we always ourselves.
    const entries = Object.entries(external!).map(([key, value]) => [key, withoutNextHop(value)]);
    return [client!, Object.fromEntries(entries)];
  }
}

function hex(octet: number): string {
  return octet.toString(16).padStart(2, "0");
}

/** Behind ORIGIN and AS_PATH, which are short here. */
function withoutNextHop(attributes: string): string {
  const at = 8 + 6 + 2 * Number.parseInt(attributes.slice(12, 14), 16);
  assert.equal(attributes.slice(at, at + 6), NEXT_HOP, attributes);
  return attributes.slice(0, at) + attributes.slice(at + 14);
}

const title = "of random paths we choose those that BIRD chooses, and tell them alike";
test(title, { timeout: 600_000 }, async (t) => {
  const reason =
    (await labUnavailable()) ?? ((await hasProgram("bird")) ? undefined : "no BIRD here");
  if (!requireReal(t, reason === undefined, reason ?? "")) return;
  const seed = Number(process.env.INTEROP_SEED ?? 1);
  t.diagnostic(`INTEROP_SEED=${seed}`);
  const circles = await Promise.all(
    [(setup: PeerSetup) => new Podrouter(setup), (setup: PeerSetup) => new Bird(setup)].map(
      async (make) => {
        const lab = await Lab.build();
        t.after(() => lab.remove());
        return Circle.start(lab, make);
      },
    ),
  );
  for (let round = 0; round < ROUNDS; round++) {
    await Promise.all(circles.map((circle) => circle.feed(seed, round)));
    let both: Told[] = [];
    await until("both tell the same", async () => {
      both = await Promise.all(circles.map((circle) => circle.told()));
      assert.deepEqual(both[0], both[1]);
      return true;
    }).catch(() => assert.deepEqual(both[0], both[1], `round ${round} of seed ${seed}`));
    const count = Object.keys(both[0]![0]!).length;
    assert.ok(count > FEEDERS.length + 10, `${count} prefixes are told`);
  }
});
