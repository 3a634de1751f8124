/** The route controller in a process that may not change routes. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Namespace } from "../../packages/netlink-ts/test/support/namespace.ts";
import { requireReal } from "../support/real.ts";
import { hasProgram } from "../support/shell.ts";

test("without the capability there is one condition for all routes", async (t) => {
  const namespace = Namespace.make(t);
  if (namespace === undefined) return;
  namespace.veth("enp1s0", "192.168.50.50/24");
  // The kernel asks for the capability of whoever sends, whatever the socket: so a child sends.
  const from = (path: string) => `from "${new URL(`../../${path}`, import.meta.url)}"`;
  const script = `
    import { RouteController } ${from("src/routes/controller.ts")};
    import { NetlinkKernel } ${from("src/routes/netlink-kernel.ts")};
    import { silentLog } ${from("src/runtime/log.ts")};
    import { systemClock } ${from("src/runtime/system-clock.ts")};
    import { FakeDesired } ${from("test/routes/harness.ts")};
    import { until } ${from("test/support/shell.ts")};
    const desired = new FakeDesired();
    for (const prefix of ["10.233.65.0/24", "10.233.66.0/24"]) {
      desired.routes.set(prefix, { prefix, nextHops: ["192.168.50.51"] });
    }
    const controller = new RouteController(
      { guards: { protectedAddresses: [], ownPodCidrs: [] } },
      { kernel: new NetlinkKernel(), desired, clock: systemClock, random: Math.random,
        log: silentLog },
    );
    await controller.start();
    // Refused once, and twice again: still the same condition.
    const { conditions } = await until("it is refused", () => {
      const status = controller.status();
      return status.counters.unavailable >= 3 && status.conditionsTotal > 0 && status;
    });
    console.log(JSON.stringify(conditions.map((c) => c.message)));
    await controller.stop();`;
  if (!requireReal(t, await hasProgram("setpriv"), "the setpriv program is missing")) return;
  const printed = namespace.run(
    ...(["setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin"] as const),
    ...[process.execPath, "--input-type=module-typescript", "-e", script],
  );
  assert.deepEqual(JSON.parse(printed), [
    "routes cannot be kept up: EPERM: operation not permitted (is CAP_NET_ADMIN missing?)",
  ]);
  assert.equal(namespace.ip("route show proto 17"), "");
});
