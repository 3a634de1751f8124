/** Graceful restart, RFC 4724, in both roles: nobody's routes are lost meanwhile. */
import assert from "node:assert/strict";
import type { PeerDaemon } from "../../support/peers/peer.ts";
import { until } from "../../support/shell.ts";
import { prefixesOf, seesRoutes } from "../expectation.ts";
import type { Peering } from "../peering.ts";
import { plainRoute } from "../routes-data.ts";
import { holds, type Scenario, withPeering } from "../scenario.ts";

const DOWN_MS = 1500;

/**
 * `restarter` is killed without a word and comes back with one route less. Until then and until
 * its End-of-RIB, `helper` keeps all of them; then the one is gone, the other fresh.
 */
async function restart(
  peering: Peering,
  restarter: PeerDaemon,
  helper: PeerDaemon,
  options: { readonly watch: () => Promise<string | undefined> },
): Promise<void> {
  const { address } = peering;
  const side = restarter === peering.left ? "left" : "right";
  const from = side === "left" ? address.left : address.right;
  const [kept, dropped] = [plainRoute(side, 1), plainRoute(side, 2)];
  await restarter.announce([kept, dropped]);
  await peering.up();
  await seesRoutes(helper, from, 4, [{ prefix: kept.prefix }, { prefix: dropped.prefix }]);
  // Only a session whose End-of-RIB has come has restarted cleanly before.
  await new Promise((resolve) => setTimeout(resolve, 300));

  await restarter.kill();
  await until("the session is down", async () => (await helper.state(from)) !== "Established");
  await holds(DOWN_MS, async () => {
    const routes = await helper.routes(from, 4);
    const stale = routes.every((route) => route.stale !== false);
    if (prefixesOf(routes).join() !== `${kept.prefix},${dropped.prefix}`)
      return `${helper.name} lost routes while ${restarter.name} was away: ${prefixesOf(routes)}`;
    return stale ? undefined : `${helper.name} does not mark the routes as stale`;
  });

  await restarter.withdraw([dropped.prefix]);
  await restarter.start({ restart: true });
  const lost: string[] = [];
  await until(
    "the routes are fresh",
    async () => {
      const routes = await helper.routes(from, 4);
      if (!prefixesOf(routes).includes(kept.prefix)) lost.push(kept.prefix);
      const fresh = routes.every((route) => route.stale !== true);
      return prefixesOf(routes).join() === kept.prefix && fresh;
    },
    25_000,
  ).catch(async (late: Error) => {
    const routes = JSON.stringify(await helper.routes(from, 4));
    throw new Error(`${late.message}; ${routes}\n${restarter.output}`);
  });
  assert.deepEqual(lost, [], "never gone, not even for a moment");
  assert.equal(await options.watch(), undefined);
  await peering.established();
}

export const theyRestart: Scenario = {
  name: "they are killed and restart: we keep their routes, then refresh them",
  needs: ["restarter"],
  run: (cell) =>
    withPeering(cell, { dial: "both" }, (peering) =>
      restart(peering, peering.right, peering.left, { watch: async () => undefined }),
    ),
};

export const weRestart: Scenario = {
  name: "we are killed and restart: they keep our routes, then refresh them",
  needs: ["helper"],
  run: (cell) =>
    withPeering(cell, { dial: "both" }, (peering) =>
      restart(peering, peering.left, peering.right, { watch: async () => undefined }),
    ),
};
