/** Sessions in each direction of connecting, and what travels over them. */
import assert from "node:assert/strict";
import { injectorAddress } from "../../support/peers/injector.ts";
import { ADDRESSES } from "../../support/peers/lab.ts";
import type { PeerDaemon, TestRoute } from "../../support/peers/peer.ts";
import { must, until } from "../../support/shell.ts";
import type { Settable } from "../daemons.ts";
import {
  type ExpectedRoute,
  expectOriginated,
  expectPassedOn,
  seesRoutes,
} from "../expectation.ts";
import { MALFORMED } from "../malformed.ts";
import { AS, type Peering } from "../peering.ts";
import {
  injectedRoute,
  opaqueRoute,
  plainRoute,
  plainRoute6,
  richRoute,
  unknownAttribute,
} from "../routes-data.ts";
import { type Scenario, withPeering } from "../scenario.ts";

/** Our own speaker originates with communities and MED; policy could add more. */
const LEFT_SETTABLE: readonly Settable[] = [];

/** Routes with all that a side can set, both families, both directions, then gone again. */
async function exchange(peering: Peering, settable: readonly Settable[]): Promise<void> {
  const { left, right, address, kind, as } = peering;
  const lefts = [richRoute("left", 1, LEFT_SETTABLE), plainRoute("left", 2)];
  const rights = [richRoute("right", 1, settable), plainRoute("right", 2)];
  const [left6, right6] = [plainRoute6("left", 1), plainRoute6("right", 1)];
  await left.announce([...lefts, left6]);
  await right.announce([...rights, right6]);
  const fromLeft = (route: TestRoute) => expectOriginated(route, kind, { as: as.left });
  const fromRight = (route: TestRoute) => expectOriginated(route, kind, { as: as.right });
  await seesRoutes(left, address.right, 4, rights.map(fromRight));
  await seesRoutes(right, address.left, 4, lefts.map(fromLeft));
  await seesRoutes(left, address.right, 6, [fromRight(right6)]);
  await seesRoutes(right, address.left, 6, [fromLeft(left6)]);

  await left.withdraw([lefts[0]!.prefix, left6.prefix]);
  await right.withdraw([rights[0]!.prefix, right6.prefix]);
  await seesRoutes(left, address.right, 4, [fromRight(rights[1]!)]);
  await seesRoutes(right, address.left, 4, [fromLeft(lefts[1]!)]);
  await seesRoutes(left, address.right, 6, []);
  await seesRoutes(right, address.left, 6, []);
}

export const theyDial: Scenario = {
  name: "they dial: routes both ways with their attributes, and withdrawal",
  run: (cell) =>
    withPeering(cell, { dial: "right" }, async (peering) => {
      await peering.up();
      await exchange(peering, cell.daemon.settable);
    }),
};

export const weDial: Scenario = {
  name: "we dial: routes both ways with their attributes, and withdrawal",
  run: (cell) =>
    withPeering(cell, { dial: "left" }, async (peering) => {
      await peering.up();
      await exchange(peering, cell.daemon.settable);
    }),
};

export const overIpv6: Scenario = {
  name: "over an IPv6 session: both families",
  run: (cell) =>
    withPeering(cell, { dial: "left", session: 6 }, async (peering) => {
      await peering.up();
      await exchange(peering, cell.daemon.settable);
    }),
};

export const fourOctetAs: Scenario = {
  name: "AS numbers of four octets on both sides",
  run: (cell) => {
    const options = { dial: "left", leftAs: 4200000100, rightAs: 4200000200 } as const;
    const same = { ...options, rightAs: 4200000100 };
    return withPeering(cell, cell.kind === "ibgp" ? same : options, async (peering) => {
      await peering.up();
      await exchange(peering, cell.daemon.settable);
    });
  },
};

/** The injector feeds one speaker, the other sees what that one made of it. */
async function passOn(
  peering: Peering,
  from: PeerDaemon,
  route: TestRoute,
  showsOpaque = true,
): Promise<void> {
  const { left, right, address, kind, as } = peering;
  const [to, neighbor, sender] =
    from === left ? [right, address.left, as.left] : [left, address.right, as.right];
  await peering.injector!.announce([route]);
  const { opaque, ...others } = expectPassedOn(route, kind, { as: sender });
  await seesRoutes(to, neighbor, 4, [showsOpaque ? { ...others, opaque: opaque! } : others]);
  await peering.injector!.withdraw([route.prefix]);
  await seesRoutes(to, neighbor, 4, []);
}

export const wePassOn: Scenario = {
  name: "we pass on what a third speaker says",
  run: (cell) =>
    withPeering(cell, { dial: "left", injector: "left" }, async (peering) => {
      await peering.up();
      await passOn(peering, peering.left, injectedRoute("left", 1));
    }),
};

export const weReflect: Scenario = {
  name: "we reflect what an internal client says",
  kinds: ["ibgp"],
  run: (cell) =>
    withPeering(cell, { dial: "left", injector: "left", injectorAs: AS.left }, async (peering) => {
      const { right, address, injector } = peering;
      await peering.up();
      const route = { ...injectedRoute("left", 1), asPath: "65010 4200000001", localPref: 321 };
      await injector!.announce([route]);
      const reflected = {
        ...expectOriginated(route, "ibgp", { as: AS.left }),
        originatorId: injectorAddress("left"),
        clusterList: [ADDRESSES.left[4]],
      };
      await seesRoutes(right, address.left, 4, [reflected]);
    }),
};

export const wePassOnUnknown: Scenario = {
  name: "we pass on attributes that nobody knows",
  run: (cell) =>
    withPeering(cell, { dial: "left", injector: "left", decoders: "tshark" }, async (peering) => {
      const { left, right, address } = peering;
      const shown = cell.daemon.lacks.showsOpaque === undefined;
      await peering.up();
      await passOn(peering, left, opaqueRoute("left", 2), shown);
      // The type of the experiment of January 2019 that some daemons did not survive.
      const experiment = { ...opaqueRoute("left", 3), opaque: [unknownAttribute(255, 32)] };
      await passOn(peering, left, experiment, shown);
      assert.equal(await right.state(address.left), "Established");
      await peering.capture.stop();
      // Whether the daemon shows them or not: they were sent, partial, and none but those.
      assert.deepEqual(await opaqueTypes(peering), ["200 224", "201 240", "255 224"]);
    }),
};

export const weStopMalformed: Scenario = {
  name: "we pass on no attribute of a length that its RFC forbids",
  run: (cell) =>
    withPeering(cell, { dial: "left", injector: "left" }, async (peering) => {
      const { left, right, address, kind, as } = peering;
      const good = MALFORMED.map((_, index) => injectedRoute("left", index + 1));
      const seen = good.map((route) => expectPassedOn(route, kind, { as: as.left }));
      await peering.up();
      // Who dialled before the other listened was refused.
      const before = await left.lastError(address.right);
      await peering.injector!.announce(good);
      await seesRoutes(right, address.left, 4, seen.map(withoutOpaque));
      const bad = good.map((route, index) => ({ ...route, opaque: [MALFORMED[index]!.opaque] }));
      await peering.injector!.announce(bad);
      const kept = seen.filter((_, index) => MALFORMED[index]!.kept);
      const shown = cell.daemon.lacks.showsOpaque === undefined;
      await seesRoutes(right, address.left, 4, shown ? kept : kept.map(withoutOpaque));
      assert.equal(await left.state(address.right), "Established");
      assert.equal(await left.lastError(address.right), before);
    }),
};

function withoutOpaque({ opaque, ...route }: ExpectedRoute): ExpectedRoute {
  void opaque;
  return route;
}

/** Type and flags of the attributes above 128 that we sent. */
async function opaqueTypes({ capture, address }: Peering): Promise<string[]> {
  const fields = ["type_code", "flags"].map((name) => `bgp.update.path_attribute.${name}`);
  const filter = `bgp.type == 2 && ip.src == ${address.left}`;
  const text = await must("tshark", [
    ...["-n", "-r", capture.file, "-Y", filter, "-T", "fields"],
    ...fields.flatMap((field) => ["-e", field]),
  ]);
  return text.split("\n").flatMap((line) => {
    const [types = [], flags = []] = line.split("\t").map((column) => column.split(","));
    const both = types.map((type, index) => [Number(type), Number(flags[index])] as const);
    return both.filter(([type]) => type > 128).map(([type, bits]) => `${type} ${bits}`);
  });
}

export const theyPassOn: Scenario = {
  name: "they pass on what a third speaker says, unknown attributes included",
  needs: ["passesOn"],
  run: (cell) =>
    withPeering(cell, { dial: "left", injector: "right" }, async (peering) => {
      await peering.up();
      await passOn(peering, peering.right, injectedRoute("right", 1));
      const { opaque = [], ...route } = opaqueRoute("right", 2);
      const takesAll = cell.daemon.lacks.nonTransitive === undefined;
      const taken = opaque.filter(({ flags }) => takesAll || ((flags ?? 0) & 0x40) !== 0);
      await passOn(peering, peering.right, { ...route, opaque: taken });
    }),
};

export const bothDial: Scenario = {
  name: "both dial at once: one session, soon, and it stays",
  run: (cell) =>
    withPeering(cell, { dial: "both" }, async (peering) => {
      const { left, right, address } = peering;
      await peering.up();
      await left.announce([plainRoute("left", 1)]);
      await right.announce([plainRoute("right", 1)]);
      await until("routes both ways", async () => {
        const [there, here] = await Promise.all([
          right.routeCount(address.left, 4),
          left.routeCount(address.right, 4),
        ]);
        return there === 1 && here === 1;
      });
      const connections = await peering.lab.namespaces.exec(
        ...(["left", "ss", "-Htn", "state", "established", "dst", ADDRESSES.right[4]] as const),
      );
      assert.equal(connections.trim().split("\n").length, 1, connections);
    }),
};
