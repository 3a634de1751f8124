/**
 * Our speaker against five daemons: every scenario × every daemon × iBGP and eBGP. What a daemon's
 * version lacks is in the table of daemons, and checked where that can be.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { sweepDead } from "../../packages/netlink-ts/test/support/keeper.ts";
import { Bird } from "../support/peers/bird.ts";
import { Podrouter } from "../support/peers/podrouter.ts";
import { requireReal } from "../support/real.ts";
import { daemonUnavailable, installedVersion, labUnavailable, TESTED } from "./available.ts";
import { FEATURES, type Feature } from "./daemons.ts";
import { weDial } from "./scenarios/exchange.ts";
import { cases, SCENARIOS } from "./scenarios.ts";

/** They wait more than they work. */
const SIDE_BY_SIDE = 4;
const SCENARIO_MS_MAX = 600_000;

const noLab = await labUnavailable();
if (noLab === undefined) await sweepDead();
const missing = new Map<string, string | undefined>();
for (const daemon of TESTED) missing.set(daemon.name, noLab ?? (await daemonUnavailable(daemon)));
const reason = (name: string) => missing.get(name);

for (const daemon of TESTED) {
  test(`${daemon.name} is version ${daemon.version}, which the table is about`, async (t) => {
    if (!requireReal(t, reason(daemon.name) === undefined, reason(daemon.name) ?? "")) return;
    assert.equal(await installedVersion(daemon), daemon.version);
  });
}

test("every feature of the table is needed by a scenario", () => {
  const needed = new Set(SCENARIOS.flatMap((scenario) => scenario.needs ?? []));
  // These change what a scenario expects, not whether it runs.
  const inside: Feature[] = [
    "nonTransitive",
    "notifiesUnderRestart",
    "showsOpaque",
    "shutdownTextSent",
    "shutdownTextShown",
    "twoOctetAggregator",
  ];
  const rest = (Object.keys(FEATURES) as Feature[]).filter((feature) => !needed.has(feature));
  assert.deepEqual(rest.sort(), inside);
});

describe("our speaker", { concurrency: SIDE_BY_SIDE }, () => {
  for (const { name, daemon, kind, scenario } of cases(SCENARIOS, TESTED)) {
    test(name, { timeout: SCENARIO_MS_MAX }, async (t) => {
      if (!requireReal(t, reason(daemon.name) === undefined, reason(daemon.name) ?? "")) return;
      await scenario.run({ t, daemon, kind, makeLeft: (setup) => new Podrouter(setup) });
    });
  }
});

// The scenario itself, proven without us: what fails above and not here is ours.
describe("BIRD in our place", { concurrency: SIDE_BY_SIDE }, () => {
  for (const daemon of TESTED) {
    test(`${daemon.name} ibgp: ${weDial.name}`, { timeout: SCENARIO_MS_MAX }, async (t) => {
      const missingBird = reason("BIRD") ?? reason(daemon.name);
      if (!requireReal(t, missingBird === undefined, missingBird ?? "")) return;
      await weDial.run({ t, daemon, kind: "ibgp", makeLeft: (setup) => new Bird(setup) });
    });
  }
});
