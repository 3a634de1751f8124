/**
 * The routes' controller when calls of the kernel, or single operations, fail at any place: in the
 * end the table is right, routes of others are untouched, and nothing was tried too often.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { prefix } from "../../src/ip/prefix.ts";
import { KernelUnavailableError } from "../../src/routes/ports.ts";
import { type Fault, FaultyPort, withEachFault, withPairsOfFaults } from "../support/faults.ts";
import { line, refusal, route, STATIC } from "./fake-kernel.ts";
import { Harness } from "./harness.ts";

const [A, B, SIX] = ["192.168.50.51", "192.168.50.52", "2001:db8::51"];
const CALLS = ["open", "dumpTopology", "dumpNextHops", "dumpRoutes", "apply"] as const;
const CODES = ["EPERM", "ENOBUFS"];
const OPERATION_CODES = [
  ...["EPERM", "EEXIST", "ESRCH", "ENOENT", "ENODEV", "ENETUNREACH", "EHOSTUNREACH", "EBUSY"],
  ...["ENOBUFS", "EMSGSIZE", "ENOMEM", "EINVAL", "EACCES", "lost ENOBUFS", "lost ETIMEDOUT"],
];

/** Adopted routes, others' routes, changes, convergence, a link that flaps, a hand that meddles. */
async function history(h: Harness): Promise<void> {
  const { kernel } = h;
  kernel.routes.push(
    route("10.233.65.0/24", { via: A }),
    route("10.233.66.0/24", { via: A }),
    route("10.233.70.0/24", { via: B }),
    route("10.233.67.0/24", { via: B, protocol: STATIC }),
    route("10.99.0.0/16", { via: B, protocol: STATIC }),
  );
  h.want("10.233.65.0/24", A);
  h.want("10.233.66.0/24", B);
  h.want("10.233.68.0/24", B);
  h.want("fd00:65::/64", SIX);
  const started = h.controller.start();
  await h.rest(8000);
  await started;
  h.controller.converged();
  await h.rest(1000);
  h.change("10.233.68.0/24", A);
  h.change("10.233.69.0/24", A, B);
  h.change("10.233.66.0/24");
  await h.rest(1000);
  kernel.delete((entry) => entry.prefix === prefix("10.233.65.0/24"));
  await h.rest(1000);
  kernel.setLink(2, false);
  await h.rest(500);
  kernel.setLink(2, true);
  await h.rest(2000);
  kernel.add(route("10.233.71.0/24", { via: B, protocol: STATIC }));
  h.change("10.233.71.0/24", A);
  await h.rest(65_000);
}

function check({ kernel, controller }: Harness): void {
  const hops = (to: string, ...via: string[]) => line(route(to, { via }));
  assert.deepEqual(
    kernel.ours(),
    [
      hops("10.233.65.0/24", A),
      hops("10.233.68.0/24", A),
      hops("10.233.69.0/24", A, B),
      hops("fd00:65::/64", SIX),
    ].sort(),
  );
  assert.deepEqual(kernel.foreign(), [line(route("10.233.71.0/24", { via: B, protocol: STATIC }))]);
  const { conditions, installed, pending } = controller.status();
  assert.deepEqual(
    conditions.map(({ name }) => name),
    ["foreign-route 10.233.71.0/24"],
  );
  assert.deepEqual([installed, pending], [4, 0]);
  assert.equal(controller.settled(), true);
}

const unavailable = (code: string, call: string) =>
  new KernelUnavailableError(code, `${call}: ${code}`);

async function withCalls(faults: readonly Fault[]): Promise<number> {
  let faulty: FaultyPort | undefined;
  const h = new Harness({}, undefined, (kernel, clock) => {
    faulty = new FaultyPort(faults, clock, unavailable);
    return faulty.around(kernel, CALLS);
  });
  await history(h);
  check(h);
  const { length } = faulty!.calls;
  assert.ok(length < 90, `${length} calls`);
  await h.controller.stop();
  return faults.length > 0 ? length : Math.min(length, 40);
}

async function withOperations(faults: readonly Fault[]): Promise<number> {
  const h = new Harness();
  let tried = 0;
  h.kernel.refuse = () => {
    tried++;
    const code = faults.find(({ at }) => at === tried)?.code;
    return code === undefined ? undefined : refusal(code);
  };
  await history(h);
  check(h);
  assert.ok(tried < 40, `${tried} operations`);
  assert.ok(h.kernel.dumps < 30, `${h.kernel.dumps} dumps`);
  await h.controller.stop();
  return tried;
}

test("one call that fails, whichever and however", async () => {
  await withEachFault(withCalls, CODES);
});

test("two of them", async () => {
  await withPairsOfFaults(withCalls, CODES);
});

test("one operation that the kernel refuses, for whatever reason", async () => {
  await withEachFault(withOperations, OPERATION_CODES, ["refused"]);
});

test("two of them", async () => {
  await withPairsOfFaults(withOperations, OPERATION_CODES, ["refused"]);
});
