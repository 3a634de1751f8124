/** Graceful restart, RFC 4724, in both roles: nobody's routes are lost meanwhile. */
import assert from "node:assert/strict";
import type { PeerDaemon } from "../../support/peers/peer.ts";
import type { Podrouter } from "../../support/peers/podrouter.ts";
import { until } from "../../support/shell.ts";
import { prefixesOf, seesRoutes } from "../expectation.ts";
import type { Peering } from "../peering.ts";
import { plainRoute } from "../routes-data.ts";
import { holds, type Scenario, withPeering } from "../scenario.ts";

const DOWN_MS = 1500;

/** Both have told all they had: only then is a restart one of RFC 4724. */
async function settled({ left, address }: Peering<Podrouter>): Promise<void> {
  await until("End-of-RIB went both ways", async () => {
    const { families } = await left.status(address.right);
    return families.every((family) => family.endOfRibReceived && family.endOfRibSent);
  });
}

/**
 * `restarter` is killed without a word and comes back with one route less. Until then and until
 * its End-of-RIB, `helper` keeps all of them; then the one is gone, the other fresh.
 */
async function restart(
  peering: Peering<Podrouter>,
  restarter: PeerDaemon,
  helper: PeerDaemon,
): Promise<void> {
  const { address } = peering;
  const side = restarter === peering.left ? "left" : "right";
  const from = side === "left" ? address.left : address.right;
  const [kept, dropped] = [plainRoute(side, 1), plainRoute(side, 2)];
  await restarter.announce([kept, dropped]);
  await peering.up();
  await seesRoutes(helper, from, 4, [{ prefix: kept.prefix }, { prefix: dropped.prefix }]);
  await settled(peering);

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
  await peering.established();
}

export const theyRestart: Scenario<Podrouter> = {
  name: "they are killed and restart: we keep their routes, then refresh them",
  needs: ["restarter"],
  run: (cell) =>
    withPeering(cell, { dial: "both" }, async (peering) => {
      await restart(peering, peering.right, peering.left);
      // What the kernel would have been told in between.
      const lost = new Set(await peering.left.lost());
      assert.deepEqual([...lost], [plainRoute("right", 2).prefix]);
    }),
};

export const theyRestartLate: Scenario<Podrouter> = {
  name: "they stay away longer than the restart time: we keep their routes long-lived stale",
  needs: ["longLivedRestarter"],
  run: (cell) => {
    const neighbor = { longLived: true };
    return withPeering(cell, { dial: "both", neighbor }, async (peering) => {
      const { left, right, address } = peering;
      const route = plainRoute("right", 1);
      await right.announce([route]);
      await peering.up();
      await seesRoutes(left, address.right, 4, [{ prefix: route.prefix }]);
      await settled(peering);
      await right.kill();
      const ended = async () => (await left.state(address.right)) !== "Established";
      await until("the session is down", ended);
      const llgrStale = "65535:6";
      await until("the route is long-lived stale", async () => {
        const [seen] = await left.routes(address.right, 4);
        return seen?.stale === true && seen.communities.includes(llgrStale);
      });
      await right.start({ restart: true });
      await peering.established();
      await until("the route is fresh", async () => {
        const [seen] = await left.routes(address.right, 4);
        return seen?.stale === false && seen.communities.length === 0;
      });
      assert.deepEqual(await left.lost(), []);
    });
  },
};

export const weRestart: Scenario<Podrouter> = {
  name: "we are killed and restart: they keep our routes, then refresh them",
  needs: ["helper"],
  run: (cell) =>
    withPeering(cell, { dial: "both" }, (peering) => restart(peering, peering.left, peering.right)),
};
