/**
 * A session over a link that is slow and loses, doubles and reorders packets, as netem makes it: two
 * speakers on a VLAN, which both dial, with MD5 and GTSM.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import type { PeerStatus } from "../../src/bgp/types.ts";
import type { IpAddress } from "../../src/ip/address.ts";
import { Namespaces, namespacesUnavailable } from "../support/namespaces.ts";
import { JsonProcess } from "../support/peers/json-process.ts";
import { requireReal } from "../support/real.ts";
import { until } from "../support/shell.ts";
import type { SpeakerOptions } from "../support/speaker-main.ts";
import { ip, peerConfig, route, speakerConfig } from "../support/speakers.ts";

const PROGRAM = join(import.meta.dirname, "..", "support", "speaker-main.ts");
/** More than an emulated machine may stand still for. */
const HOLD_SECONDS = 30;
const ROUTES = 5_000;
const BAD = "delay 150ms 15ms loss 5% reorder 25% 50% duplicate 2%";
const ENDS = ["a", "b"] as const;
const ADDRESS = { a: ip("10.0.0.1"), b: ip("10.0.0.2") };

/** Two namespaces with a VLAN between them, over wires called w; undefined where there is none. */
async function vlan(t: TestContext): Promise<Namespaces | undefined> {
  const unavailable = await namespacesUnavailable();
  if (!requireReal(t, unavailable === undefined, unavailable ?? "")) return undefined;
  const ns = new Namespaces();
  t.after(() => ns.remove());
  for (const end of ENDS) await ns.add(end);
  await ns.veth("a", "w", "b", "w");
  try {
    for (const end of ENDS) {
      await ns.ip(end, "link add link w name w.100 type vlan id 100");
      await ns.ip(end, `addr add ${ADDRESS[end]}/24 dev w.100`);
      await ns.ip(end, "link set w.100 up");
    }
    await disturb(ns, BAD);
  } catch (error) {
    requireReal(t, false, `no VLAN or no netem here: ${(error as Error).message}`);
    return undefined;
  }
  return ns;
}

/** What happens to packets from now on, each way. */
async function disturb(ns: Namespaces, words: string): Promise<void> {
  for (const end of ENDS) {
    const change = ["qdisc", "replace", "dev", "w", "root", "netem", ...words.split(" ")];
    await ns.exec(end, "tc", ...change);
  }
}

class End {
  readonly #process: JsonProcess;
  readonly #other: IpAddress;

  constructor(t: TestContext, ns: Namespaces, end: (typeof ENDS)[number]) {
    this.#process = new JsonProcess(end, ns.name(end), PROGRAM);
    t.after(() => this.#process.process.stop());
    this.#other = ADDRESS[end === "a" ? "b" : "a"];
    const peer = peerConfig(ADDRESS[end], this.#other, {
      holdSeconds: HOLD_SECONDS,
      gracefulRestart: undefined,
      password: "secret",
      ttlSecurity: true,
    });
    const given: SpeakerOptions = {
      config: speakerConfig(ADDRESS[end]),
      peers: [peer],
      routes: [],
    };
    this.#process.start(given);
  }

  /** Announces routes that the other end has not. */
  originate(block: number, own: IpAddress): Promise<void> {
    const texts = Array.from({ length: ROUTES }, (_, i) => `20.${block}.${i >> 8}.${i & 255}/32`);
    return this.#process.ask(
      "originate",
      texts.map((text) => route(text, own)),
    );
  }

  /** Node.js itself takes long to start where a machine is emulated. */
  ready(): Promise<unknown> {
    return until("the speaker answers", () => this.#process.ask("listening"), 60_000);
  }

  status(): Promise<PeerStatus> {
    return this.#process.ask("peer", this.#other);
  }

  async hasAll(): Promise<boolean> {
    const { state, families } = await this.status();
    return state === "Established" && families[0]?.accepted === ROUTES;
  }
}

test("a session comes up and stays over a bad link; without any it ends by its hold time", async (t) => {
  const ns = await vlan(t);
  if (ns === undefined) return;
  const [a, b] = [new End(t, ns, "a"), new End(t, ns, "b")];
  await Promise.all([a.ready(), b.ready()]);
  await Promise.all([a.originate(1, ADDRESS.a), b.originate(2, ADDRESS.b)]);
  const exchanged = async () => (await a.hasAll()) && (await b.hasAll());
  await until("all routes, both ways", exchanged, 120_000, 200);
  await delay(1.5 * HOLD_SECONDS * 1000);
  for (const end of [a, b]) {
    const { state, flaps, lastError } = await end.status();
    assert.deepEqual([state, flaps], ["Established", 0], lastError?.reason);
  }
  await disturb(ns, "loss 100%");
  const cut = performance.now();
  await until("the end", async () => (await a.status()).state !== "Established", 60_000, 100);
  const took = performance.now() - cut;
  // The last that it heard was sent before, a third of the hold time at most.
  assert.ok(took > (HOLD_SECONDS * 1000) / 2, `${took} ms`);
  const { lastError } = await a.status();
  assert.match(lastError?.reason ?? "", /Hold Timer Expired/);
});
