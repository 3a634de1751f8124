/**
 * Whoever keeps something in the running kernel, when one of its system calls fails: the state is
 * right again in a moment, nothing is said to be wrong any more, and no file descriptor is lost.
 *
 * FAULT_RUNS: how many calls of each are made to fail, 5 unless told.
 */
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { type TestContext, test } from "node:test";
import { Errno } from "netlink-ts";
import { linuxSys } from "../../packages/netlink-ts/src/libc.ts";
import { Namespace } from "../../packages/netlink-ts/test/support/namespace.ts";
import { NetlinkLinks } from "../../src/cni/netlink-links.ts";
import { PodLinks } from "../../src/cni/pod-links.ts";
import { prefix } from "../../src/ip/prefix.ts";
import { SetController } from "../../src/ipset/controller.ts";
import { NetlinkSets } from "../../src/ipset/netlink-sets.ts";
import { OverlayController } from "../../src/overlay/controller.ts";
import { NetlinkOverlay } from "../../src/overlay/netlink-overlay.ts";
import { RouteController } from "../../src/routes/controller.ts";
import { NetlinkKernel } from "../../src/routes/netlink-kernel.ts";
import { silentLog } from "../../src/runtime/log.ts";
import { systemClock } from "../../src/runtime/system-clock.ts";
import { ip } from "../overlay/fake-overlay.ts";
import { FakeDesired } from "../routes/harness.ts";
import { until } from "../support/shell.ts";

const RUNS = Number(process.env["FAULT_RUNS"] ?? 5);
const CALLS = ["socket", "bind", "getsockname", "getsockopt", "send", "receive"] as const;
const ENOMEM = 12;
/** The errno of each call, as it comes for want of memory or of descriptors. */
const ERRNOS = {
  socket: 24,
  bind: ENOMEM,
  getsockname: Errno.ENOBUFS,
  getsockopt: Errno.ENOBUFS,
  send: Errno.ENOBUFS,
  receive: Errno.ENOBUFS,
} as const;

/** One keeper at work in a namespace. */
interface Keeper {
  isRight(): boolean;
  /** By hand. */
  damage(): void;
  readonly problems: () => readonly unknown[];
  stop(): Promise<void>;
}

const deps = { clock: systemClock, random: () => 0, log: silentLog };

function routes(namespace: Namespace): Keeper {
  const around = <T>(make: () => T) => namespace.enter(make);
  const desired = new FakeDesired();
  const to = prefix("10.233.65.0/24");
  desired.routes.set(to, { prefix: to, nextHops: [ip("192.168.50.51")] });
  const controller = new RouteController(
    { guards: { protectedAddresses: [], ownPodCidrs: [] }, syncPeriodMs: 1000 },
    { ...deps, kernel: new NetlinkKernel({ around }), desired },
  );
  void controller.start().then(() => controller.converged());
  const shown = () => namespace.ip("-o route show proto 17").trim().replace(/\s+/g, " ");
  return {
    isRight: () => shown() === "10.233.65.0/24 via 192.168.50.51 dev enp1s0",
    damage: () => {
      namespace.ip("route flush proto 17");
      namespace.ip("route add 10.233.99.0/24 via 192.168.50.51 proto 17");
    },
    problems: () => controller.status().conditions,
    stop: () => controller.stop(),
  };
}

function sets(namespace: Namespace): Keeper {
  const kernel = new NetlinkSets({ around: (make) => namespace.enter(make) });
  const controller = new SetController(
    { checkPeriodMs: 100, syncPeriodMs: 1000 },
    { ...deps, kernel },
  );
  void controller.setDesired({ podSubnets: [prefix("10.233.65.0/24")], nodeIps: [] });
  return {
    isRight: () => namespace.run("ipset", "save").includes("10.233.65.0/24"),
    damage: () => void namespace.run("ipset", "flush"),
    problems: () => controller.status().conditions,
    stop: async () => {
      await controller.stop();
      kernel.close();
    },
  };
}

function overlay(namespace: Namespace): Keeper {
  const kernel = new NetlinkOverlay({ around: (make) => namespace.enter(make) });
  const controller = new OverlayController(
    { settings: { type: "subnet", encap: "vxlan", vni: 77, port: 4789 } },
    { ...deps, kernel, settled: () => true, onWays: () => undefined },
  );
  const podCidr = prefix("10.233.64.0/24");
  controller.want({
    own: { 4: ip("192.168.50.50"), 6: undefined },
    ownPodCidrs: [podCidr],
    remotes: [{ 4: ip("10.1.0.1"), 6: undefined }],
  });
  controller.start();
  return {
    isRight: () =>
      namespace.ip("rule show").includes(`from ${podCidr} lookup 77`) &&
      namespace.run("bridge", "fdb", "show").includes("dst 10.1.0.1"),
    damage: () => void namespace.ip("link del podrouter-vx4"),
    problems: () => controller.conditions(),
    stop: () => controller.stop(),
  };
}

function podLinks(namespace: Namespace): Keeper {
  const links = new PodLinks(
    {},
    {
      ...deps,
      kernel: new NetlinkLinks({ around: (make) => namespace.enter(make) }),
      sysctls: { read: async () => "1", write: async () => undefined },
    },
  );
  links.want({
    kind: "bridge",
    nodeIps: [ip("192.168.50.50")],
    podCidrs: [prefix("10.233.64.0/24")],
    ...{ autoMtu: true, overheadBytes: 0, gateways: [], taken: [] },
  });
  links.start();
  return {
    isRight: () => /kube-bridge: <.*\bUP\b/.test(namespace.ip("-o link show")),
    damage: () => void namespace.ip("link del kube-bridge"),
    problems: () => links.conditions(),
    stop: () => links.stop(),
  };
}

/** The n-th call from now on fails; `lost`: it is made all the same. Gives how many there were. */
function failing(at: number, lost: boolean) {
  const real = { ...linuxSys };
  let calls = 0;
  let failed: string | undefined;
  const patched = Object.fromEntries(
    CALLS.map((name) => [
      name,
      (...given: never[]) => {
        const call = real[name] as (...given: never[]) => number;
        if (++calls !== at) return call(...given);
        failed = name;
        // What is made and not told of can be closed by nobody.
        if (lost && name !== "socket") call(...given);
        return -ERRNOS[name];
      },
    ]),
  );
  Object.assign(linuxSys, patched, {
    sendAsync: async (...given: Parameters<typeof real.sendAsync>) => {
      if (++calls !== at) return real.sendAsync(...given);
      failed = "sendAsync";
      return -1;
    },
  });
  return { calls: () => calls, failed: () => failed, restore: () => Object.assign(linuxSys, real) };
}

const openFiles = () => readdirSync("/proc/self/fd").length;

async function scenario(
  t: TestContext,
  make: (namespace: Namespace) => Keeper,
  at: number,
  lost: boolean,
): Promise<number> {
  const namespace = Namespace.make(t);
  if (namespace === undefined) return 0;
  namespace.veth("enp1s0", "192.168.50.50/24");
  const before = openFiles();
  const fault = failing(at, lost);
  const keeper = make(namespace);
  const about = () => `call ${at}${lost ? " lost" : ""}, ${fault.failed()}`;
  const told = () => `${about()}: ${JSON.stringify(keeper.problems())}`;
  try {
    await until(
      () => `made: ${told()}`,
      () => keeper.isRight(),
    );
    keeper.damage();
    await until(
      () => `made again: ${told()}`,
      () => keeper.isRight(),
    );
    await until(
      () => `all is well: ${told()}`,
      () => keeper.problems().length === 0,
    );
    assert.ok(fault.calls() < 600, `${fault.calls()} calls, ${about()}`);
  } finally {
    fault.restore();
    await keeper.stop();
  }
  // A poll is closed in the next turns of the event loop.
  await until(
    () => `descriptors given back: ${about()}`,
    () => openFiles() <= before,
  );
  return fault.calls();
}

for (const [name, make] of [
  ["routes", routes],
  ["sets", sets],
  ["tunnels", overlay],
  ["pod links", podLinks],
] as const) {
  test(`${name}: a system call that fails`, async (t) => {
    // The first one opens what the process keeps.
    await scenario(t, make, Number.POSITIVE_INFINITY, false);
    const calls = await scenario(t, make, Number.POSITIVE_INFINITY, false);
    const step = Math.max(1, calls / RUNS);
    for (let at = step / 2; at < calls; at += step) {
      for (const lost of [false, true]) await scenario(t, make, Math.ceil(at), lost);
    }
  });
}
