/** The keeper of the tunnels when calls of the kernel, or single operations, fail at any place. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { IpAddress } from "../../src/ip/address.ts";
import { prefix } from "../../src/ip/prefix.ts";
import { OverlayController } from "../../src/overlay/controller.ts";
import { OverlayKernelError } from "../../src/overlay/ports.ts";
import type { OverlaySettings } from "../../src/overlay/types.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { type Fault, FaultyPort, withEachFault, withPairsOfFaults } from "../support/faults.ts";
import { recordingLog } from "../support/recording-log.ts";
import { FakeOverlay, FOREIGN_VXLAN, ip, NIC } from "./fake-overlay.ts";

const CALLS = ["open", "read", "apply"] as const;
const CODES = ["EPERM", "ENOBUFS", "EMFILE", "EBUSY"];
const OPERATION_CODES = [
  ...["EPERM", "EEXIST", "ESRCH", "ENOENT", "ENODEV", "ENETUNREACH", "EBUSY", "ENOBUFS"],
  ...["ENOMEM", "EINVAL", "ETIMEDOUT", "EOPNOTSUPP"],
];
const SETTINGS: Readonly<Record<string, OverlaySettings>> = {
  vxlan: { type: "subnet", encap: "vxlan", vni: 77, port: 4790 },
  ipip: { type: "full", encap: "ipip", vni: 77, port: 4789 },
};

function wanted(...remotes: readonly string[]) {
  return {
    own: { 4: ip("192.168.50.50"), 6: undefined },
    ownPodCidrs: [prefix("10.233.64.0/24")],
    remotes: remotes.map((text) => ({ 4: ip(text), 6: undefined })),
  };
}

const failure = ({ code }: Fault) => ({ ok: false, code, message: `${code}: no` }) as const;

interface Faults {
  readonly calls?: readonly Fault[];
  readonly operations?: readonly Fault[];
}

/** How many calls and operations there were. */
async function scenario(settings: OverlaySettings, { calls = [], operations = [] }: Faults) {
  const clock = new FakeClock();
  const kernel = new FakeOverlay();
  kernel.addLink(FOREIGN_VXLAN);
  let tried = 0;
  kernel.outcome = () => {
    tried++;
    const fault = operations.find(({ at }) => at === tried);
    return fault?.kind === "refused" ? failure(fault) : undefined;
  };
  kernel.answer = () => {
    const fault = operations.find(({ at }) => at === tried);
    return fault?.kind === "lost" ? failure(fault) : undefined;
  };
  const faulty = new FaultyPort(calls, clock, (code, call) => {
    return new OverlayKernelError(code, `${call}: ${code}`);
  });
  const told: (ReadonlySet<IpAddress> | "all")[] = [];
  const overlay = new OverlayController(
    { settings },
    {
      ...{ kernel: faulty.around(kernel, CALLS), clock, random: () => 0, log: recordingLog().log },
      settled: () => true,
      onWays: (nextHops) => told.push(nextHops),
    },
  );
  overlay.start();
  overlay.want(wanted("192.168.51.50", "192.168.51.51"));
  await clock.advanceAsync(3000);
  overlay.want(wanted("192.168.51.50", "192.168.51.52"));
  await clock.advanceAsync(3000);
  // By hand: all our devices go, and the kernel takes all routes through them along, in silence.
  told.length = 0;
  for (const { index, name } of [...kernel.links.values()]) {
    if (index < 100) continue;
    kernel.remove(name);
    kernel.listener?.onEvent({ kind: "link", change: "delete", link: { ...NIC, index, name } });
  }
  await clock.advanceAsync(35_000);
  // Not only after the next reading of everything.
  assert.deepEqual(overlay.conditions(), []);
  assert.ok(told.includes("all"), "the routes are to be looked at");
  await clock.advanceAsync(100_000);
  const { tunnels, missing } = overlay.status();
  assert.deepEqual([tunnels[4], missing], [2, 0]);
  const ways = ["192.168.51.50", "192.168.51.51", "192.168.51.52"].map((to) => overlay.way(ip(to)));
  assert.deepEqual(
    ways.map((way) => way?.ready),
    [true, undefined, true],
  );
  for (const way of ways) if (way?.ready) assert.ok(kernel.links.has(way.hop.link));
  assert.equal(kernel.links.get(FOREIGN_VXLAN.index), FOREIGN_VXLAN);
  assert.deepEqual(overlay.conditions(), []);
  assert.ok(faulty.calls.length < 60, `${faulty.calls.length} calls`);
  assert.ok(tried < 80, `${tried} operations`);
  await overlay.stop();
  return { calls: faulty.calls.length, tried };
}

for (const [name, settings] of Object.entries(SETTINGS)) {
  const withCalls = async (calls: readonly Fault[]) => (await scenario(settings, { calls })).calls;
  const withOperations = async (operations: readonly Fault[]) =>
    (await scenario(settings, { operations })).tried;

  test(`${name}: one call that fails, whichever and however`, async () => {
    await withEachFault(withCalls, CODES);
  });

  test(`${name}: two of them`, async () => {
    await withPairsOfFaults(withCalls, CODES);
  });

  test(`${name}: one operation that is refused, or done and said to be refused`, async () => {
    await withEachFault(withOperations, OPERATION_CODES, ["refused", "lost"]);
  });

  test(`${name}: two of them`, async () => {
    await withPairsOfFaults(withOperations, OPERATION_CODES, ["refused", "lost"]);
  });
}
