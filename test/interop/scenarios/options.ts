/** Session options: TCP MD5, two-octet AS numbers, add-path, IPv6 next hops, shutdown texts. */
import assert from "node:assert/strict";
import { ADDRESSES } from "../../support/peers/lab.ts";
import type { PeerDaemon, TestRoute } from "../../support/peers/peer.ts";
import { must, until } from "../../support/shell.ts";
import { expectPassedOn, injectedPath, seesRoutes } from "../expectation.ts";
import { AS, type Peering } from "../peering.ts";
import { injectedRoute, plainRoute } from "../routes-data.ts";
import { holds, type Scenario, withPeering } from "../scenario.ts";

const PASSWORD = "correct-horse";
const REFUSED_MS = 3000;
const AS_LARGE = 4200000100;
const AS_TRANS = 23456;

/** One plain route each way. */
async function plainExchange(peering: Peering): Promise<void> {
  const { left, right, address } = peering;
  const [ours, theirs] = [plainRoute("left", 1), plainRoute("right", 1)];
  await left.announce([ours]);
  await right.announce([theirs]);
  await seesRoutes(left, address.right, 4, [{ prefix: theirs.prefix }]);
  await seesRoutes(right, address.left, 4, [{ prefix: ours.prefix }]);
}

function md5(dial: "left" | "right"): Scenario {
  return {
    name: `TCP MD5, ${dial === "left" ? "we" : "they"} dial`,
    needs: [dial === "left" ? "md5Listen" : "md5Dial"],
    run: (cell) =>
      withPeering(cell, { dial, neighbor: { password: PASSWORD } }, async (peering) => {
        await peering.up();
        await plainExchange(peering);
      }),
  };
}

export const md5WeDial = md5("left");
export const md5TheyDial = md5("right");

export const ttlSecurity: Scenario = {
  name: "GTSM: both send a TTL of 255, and want it",
  needs: ["ttlSecurity"],
  kinds: ["ebgp"],
  run: (cell) =>
    withPeering(cell, { dial: "both", neighbor: { ttlSecurity: true } }, async (peering) => {
      await peering.up();
      await plainExchange(peering);
      await peering.capture.stop();
      const { left, right } = peering.address;
      const filter = `ip.ttl != 255 && bgp && ip.src in {${left}, ${right}}`;
      assert.equal(await must("tshark", ["-n", "-r", peering.capture.file, "-Y", filter]), "");
    }),
};

export const md5Wrong: Scenario = {
  name: "TCP MD5 with a wrong password: no session",
  needs: ["md5Dial"],
  run: (cell) => {
    const options = {
      dial: "both",
      neighbor: { password: PASSWORD },
      leftNeighbor: { password: `not-${PASSWORD}` },
    } as const;
    return withPeering(cell, options, async (peering) => {
      const { left, right, address } = peering;
      await Promise.all([left.start(), right.start()]);
      await holds(REFUSED_MS, async () => {
        const states = [await left.state(address.right), await right.state(address.left)];
        const up = states.some((state) => state === "Established");
        return up ? `a session came up: ${states}` : undefined;
      });
    });
  },
};

export const twoOctetAs: Scenario = {
  name: "a peer of two octets: we send large AS numbers in AS4_PATH",
  needs: ["twoOctetAs"],
  kinds: ["ebgp"],
  run: (cell) => {
    const options = {
      dial: "left",
      rightNeighbor: { fourOctetAs: false, gracefulRestart: false },
      injector: "left",
    } as const;
    return withPeering(cell, options, async (peering) => {
      const { left, right, address, injector } = peering;
      await peering.up();
      const theirs = plainRoute("right", 1);
      await right.announce([theirs]);
      const { aggregator, ...route } = injectedRoute("left", 1);
      const takesIt = cell.daemon.lacks.twoOctetAggregator === undefined;
      await injector!.announce([takesIt ? { ...route, aggregator: aggregator! } : route]);
      await seesRoutes(left, address.right, 4, [{ prefix: theirs.prefix, asPath: `${AS.right}` }]);
      const path = await pathAt(right, address.left, route.prefix);
      // A program that knows AS4_PATH may put the true number back for its own display.
      const injected = injectedPath(`65010 (${AS_TRANS}|4200000001) 65010`);
      assert.match(path, new RegExp(`^${AS.left} ${injected}$`));
    });
  },
};

export const twoOctetLargePeer: Scenario = {
  name: "a peer of two octets knows us as AS_TRANS",
  needs: ["twoOctetAs", "twoOctetLargePeer"],
  kinds: ["ebgp"],
  run: (cell) => {
    const options = {
      dial: "left",
      leftAs: AS_LARGE,
      leftAsSeen: AS_TRANS,
      rightNeighbor: { fourOctetAs: false, gracefulRestart: false },
    } as const;
    return withPeering(cell, options, async (peering) => {
      const { left, right, address } = peering;
      await peering.up();
      const [ours, theirs] = [plainRoute("left", 1), plainRoute("right", 1)];
      await left.announce([ours]);
      await right.announce([theirs]);
      assert.equal(await pathAt(left, address.right, theirs.prefix), `${AS.right}`);
      const path = await pathAt(right, address.left, ours.prefix);
      assert.match(path, new RegExp(`^(${AS_TRANS}|${AS_LARGE})$`));
    });
  },
};

/** AS path of a prefix; it may have others, such as its own sent back to it. */
async function pathAt(speaker: PeerDaemon, neighbor: string, prefix: string): Promise<string> {
  const find = async () =>
    (await speaker.routes(neighbor, 4)).find((route) => route.prefix === prefix);
  await until(`${speaker.name} has ${prefix}`, async () => (await find()) !== undefined);
  return (await find())!.asPath;
}

export const twoOctetAsPassedOn: Scenario = {
  name: "a peer of two octets passes on large AS numbers in AS4_PATH",
  needs: ["twoOctetAs", "passesOn"],
  kinds: ["ebgp"],
  run: (cell) => {
    const options = {
      dial: "left",
      rightNeighbor: { fourOctetAs: false, gracefulRestart: false },
      injector: "right",
    } as const;
    return withPeering(cell, options, async (peering) => {
      const { left, address, kind, as, injector } = peering;
      await peering.up();
      const route = injectedRoute("right", 1);
      await injector!.announce([route]);
      await seesRoutes(left, address.right, 4, [expectPassedOn(route, kind, { as: as.right })]);
    });
  },
};

/** Two ways to one prefix: the sender's own and the injector's. */
async function twoPaths(peering: Peering, from: PeerDaemon): Promise<void> {
  const { left, right, address, as, kind } = peering;
  const side = from === left ? "left" : "right";
  const [to, neighbor] = from === left ? [right, address.left] : [left, address.right];
  const own = plainRoute(side, 1);
  await from.announce([own]);
  const other = { ...injectedRoute(side, 1), prefix: own.prefix };
  await peering.injector!.announce([other]);
  const paths = [injectedPath("65010 4200000001 65010"), ""].map((path) =>
    kind === "ibgp" ? path : `${as[side]} ${path}`.trim(),
  );
  const shown = async () => (await to.routes(neighbor, 4)).map((route) => route.asPath).sort();
  await until(`${to.name} has both paths`, async () => (await shown()).length === 2).catch(
    async (late: Error) => {
      throw new Error(`${late.message}; it has ${JSON.stringify(await to.routes(neighbor, 4))}`);
    },
  );
  assert.deepEqual(await shown(), paths.sort());
  await from.withdraw([own.prefix]);
  await until("the own path is gone", async () => (await shown()).length === 1);
  assert.deepEqual(await shown(), [paths.sort().at(-1)]);
}

export const addPathFromThem: Scenario = {
  name: "add-path: they send two paths of a prefix, we keep both",
  needs: ["addPathSend", "passesOn"],
  run: (cell) => {
    const options = {
      dial: "left",
      leftNeighbor: { addPath: "receive" },
      rightNeighbor: { addPath: "send" },
      injector: "right",
    } as const;
    return withPeering(cell, options, async (peering) => {
      await peering.up();
      await twoPaths(peering, peering.right);
    });
  },
};

export const addPathFromUs: Scenario = {
  name: "add-path: we send two paths of a prefix, they keep both",
  needs: ["addPathReceive"],
  run: (cell) => {
    const options = {
      dial: "left",
      leftNeighbor: { addPath: "send" },
      rightNeighbor: { addPath: "receive" },
      injector: "left",
    } as const;
    return withPeering(cell, options, async (peering) => {
      await peering.up();
      await twoPaths(peering, peering.left);
    });
  },
};

export const extendedNextHop: Scenario = {
  name: "IPv4 routes with IPv6 next hops over an IPv6 session",
  needs: ["extendedNextHop"],
  run: (cell) => {
    const options = { dial: "left", session: 6, neighbor: { extendedNextHop: true } } as const;
    return withPeering(cell, options, async (peering) => {
      const { left, right, address } = peering;
      await peering.up();
      const ours = { ...plainRoute("left", 1), nextHop: ADDRESSES.left[6] };
      const theirs = { ...plainRoute("right", 1), nextHop: ADDRESSES.right[6] };
      await left.announce([ours]);
      await right.announce([theirs]);
      const expected = ({ prefix, nextHop }: TestRoute) => ({ prefix, nextHop });
      await seesRoutes(left, address.right, 4, [expected(theirs)]);
      await seesRoutes(right, address.left, 4, [expected(ours)]);
    });
  },
};

const TEXT = "going for lunch, back at 14:00";

export const weShutDown: Scenario = {
  name: "we shut down with a text: they see the end of the session, and the text",
  run: (cell) =>
    withPeering(cell, { dial: "left" }, async (peering) => {
      const { left, right, address } = peering;
      await peering.up();
      await left.shutdown(address.right, TEXT);
      await until("the session is down", async () => {
        return (await right.state(address.left)) !== "Established";
      });
      if (cell.daemon.lacks.shutdownTextShown !== undefined) return;
      await until("it shows the text", async () => {
        return (await right.lastError(address.left)).includes(TEXT);
      });
    }),
};

export const theyShutDown: Scenario = {
  name: "they shut down: we see why, with the text",
  run: (cell) => {
    const gracefulRestart = cell.daemon.lacks.notifiesUnderRestart === undefined;
    return withPeering(cell, { dial: "left", neighbor: { gracefulRestart } }, async (peering) => {
      const { left, right, address } = peering;
      await peering.up();
      await right.shutdown(address.left, TEXT);
      await until("the session is down", async () => {
        return (await left.state(address.right)) !== "Established";
      });
      const silent = cell.daemon.lacks.shutdownTextSent !== undefined;
      await until("we show the reason", async () => {
        const reason = await left.lastError(address.right);
        return silent ? /administrative/i.test(reason) : reason.includes(TEXT);
      });
    });
  },
};
