/**
 * Whatever happens, in whatever order: once things are quiet, the table is what it must be, and
 * routes of others are exactly those that others made.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { prefix } from "../../src/ip/prefix.ts";
import { hasOurKey, isOurs } from "../../src/routes/types.ts";
import { address, line, refusal, route, STATIC } from "./fake-kernel.ts";
import { Harness } from "./harness.ts";

const PREFIXES = ["10.233.65.0/24", "10.233.66.0/24", "192.168.50.0/24", "fd00:65::/64"] as const;
const HOPS = ["192.168.50.51", "192.168.50.52", "10.99.0.2", "2001:db8::51"] as const;

type Step =
  | { readonly kind: "want"; readonly prefix: number; readonly hops: readonly number[] }
  | { readonly kind: "remove"; readonly prefix: number; readonly silently: boolean }
  | { readonly kind: "strange"; readonly prefix: number; readonly metric: number }
  | { readonly kind: "foreign"; readonly prefix: number; readonly first: boolean }
  | { readonly kind: "foreign-gone"; readonly prefix: number }
  | { readonly kind: "link"; readonly up: boolean }
  | { readonly kind: "address"; readonly there: boolean }
  | { readonly kind: "refuse"; readonly code: string | undefined }
  | { readonly kind: "steps-back"; readonly routes: number }
  | { readonly kind: "overrun" }
  | { readonly kind: "converged" }
  | { readonly kind: "wait"; readonly ms: number };

const index = fc.nat(PREFIXES.length - 1);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant("want" as const),
      prefix: index,
      hops: fc.uniqueArray(fc.nat(HOPS.length - 1), { maxLength: 3 }),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({ kind: fc.constant("wait" as const), ms: fc.constantFrom(1, 7, 150) }),
  },
  fc.record({ kind: fc.constant("remove" as const), prefix: index, silently: fc.boolean() }),
  fc.record({
    kind: fc.constant("strange" as const),
    prefix: index,
    metric: fc.constantFrom(0, 50, 1024),
  }),
  fc.record({ kind: fc.constant("foreign" as const), prefix: index, first: fc.boolean() }),
  fc.record({ kind: fc.constant("foreign-gone" as const), prefix: index }),
  fc.record({ kind: fc.constant("link" as const), up: fc.boolean() }),
  fc.record({ kind: fc.constant("address" as const), there: fc.boolean() }),
  fc.record({
    kind: fc.constant("refuse" as const),
    code: fc.constantFrom("EINVAL", "EPERM", "ENOBUFS", "lost ENOBUFS", undefined),
  }),
  fc.record({ kind: fc.constant("steps-back" as const), routes: fc.nat(3) }),
  fc.record({ kind: fc.constant("overrun" as const) }),
  fc.record({ kind: fc.constant("converged" as const) }),
);

class Run {
  readonly h = new Harness();
  /** What others have put there; only they and the kernel take it away. */
  foreign: string[] = [];

  constructor(delay: number, answerMs: number) {
    this.h.kernel.eventDelayMs = delay;
    this.h.kernel.dumpMs = delay;
    this.h.kernel.answerMs = answerMs;
    this.h.kernel.onUnknowableLoss = (lost) => {
      this.foreign = this.foreign.filter((entry) => entry !== line(lost));
    };
    for (const [i, to] of PREFIXES.entries()) {
      if (i % 2 === 0) this.h.kernel.routes.push(route(to, { via: hopFor(to) }));
    }
  }

  async do(step: Step): Promise<void> {
    const { kernel, controller } = this.h;
    switch (step.kind) {
      case "want":
        return this.h.change(PREFIXES[step.prefix]!, ...step.hops.map((hop) => HOPS[hop]!));
      case "remove": {
        const to = prefix(PREFIXES[step.prefix]!);
        const change = () => kernel.delete((entry) => entry.prefix === to && isOurs(entry));
        return step.silently ? kernel.silently(change) : change();
      }
      case "strange": {
        // Ours by its mark, but not made by us.
        const to = PREFIXES[step.prefix]!;
        const entry = route(to, { via: hopFor(to), metric: step.metric });
        const taken = kernel.routes.some((r) => r.prefix === to && r.metric === step.metric);
        return taken ? undefined : kernel.add(entry);
      }
      case "foreign": {
        const entry = this.#foreignRoute(step.prefix);
        if (this.foreign.includes(line(entry))) return;
        this.foreign.push(line(entry));
        return kernel.add(entry, step.first ? "first" : "last");
      }
      case "foreign-gone": {
        const gone = line(this.#foreignRoute(step.prefix));
        this.foreign = this.foreign.filter((entry) => entry !== gone);
        if (byObject(step.prefix)) return kernel.deleteNextHop(step.prefix);
        return kernel.delete((entry) => line(entry) === gone);
      }
      case "link":
        if (!step.up) this.foreign = [];
        return kernel.setLink(2, step.up);
      case "address":
        return this.#setAddress(step.there);
      case "refuse": {
        const { code } = step;
        kernel.refuse = () => (code === undefined ? undefined : refusal(code));
        return;
      }
      case "steps-back":
        kernel.stepsBack = step.routes;
        return;
      case "overrun":
        return kernel.overrun();
      case "converged":
        return controller.converged();
      case "wait":
        return this.h.rest(step.ms);
    }
  }

  /** All is well again, and time passes. */
  async calm(): Promise<void> {
    this.h.kernel.refuse = () => undefined;
    this.h.kernel.setLink(2, true);
    this.#setAddress(true);
    this.h.controller.converged();
    await this.h.rest(130_000);
  }

  check(): void {
    const { kernel, controller, desired } = this.h;
    assert.deepEqual(kernel.foreign().sort(), [...this.foreign].sort(), "routes of others");
    const expected: string[] = [];
    const complaints: string[] = [];
    for (const { prefix: to, nextHops } of desired.routes.values()) {
      const family = to.includes(":") ? 6 : 4;
      const rivals = kernel.routes.filter((r) => r.prefix === to && hasOurKey(r, family));
      const via = nextHops.filter((hop) => hop.includes(":") === to.includes(":")).sort();
      const refused = to.startsWith("192.168.50.");
      if (refused) complaints.push(`route-refused ${to}`);
      else if (via.length > 0 && rivals.some((r) => !isOurs(r))) {
        complaints.push(`foreign-route ${to}`);
      } else {
        if (via.length < nextHops.length) complaints.push(`next-hop-not-reachable ${to}`);
        if (via.length > 0) expected.push(line(route(to, { via })));
      }
    }
    assert.deepEqual(kernel.ours(), expected.sort(), "routes of ours");
    const status = controller.status();
    assert.deepEqual(status.conditions.map((c) => c.name).sort(), complaints.sort());
    assert.equal(status.installed, expected.length);
    assert.equal(status.pending, 0);
  }

  #setAddress(there: boolean): void {
    const { kernel } = this.h;
    const is = kernel.addresses.some((entry) => entry.address === "10.99.0.1");
    if (is && !there) kernel.deleteAddress("10.99.0.1");
    if (!is && there) {
      const subnet = prefix("10.99.0.0/24");
      kernel.addAddress({ link: 2, address: address("10.99.0.1"), subnet });
    }
  }

  #foreignRoute(at: number) {
    const to = PREFIXES[at]!;
    const object = byObject(at) ? { nextHopId: at, plain: false } : {};
    return route(to, { via: hopFor(to), protocol: STATIC, ...object });
  }
}

/** Whether the route of others there goes by a next hop object, and with it without a word. */
function byObject(at: number): boolean {
  return at % 2 === 1;
}

function hopFor(to: string): string {
  return to.includes(":") ? "2001:db8::51" : "192.168.50.52";
}

test("routes converge, and those of others are never changed", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 1, maxLength: 40 }),
      fc.constantFrom(0, 0, 3, 40),
      fc.constantFrom(0, 0, 7),
      async (steps, delay, answerMs) => {
        const run = new Run(delay, answerMs);
        const started = run.h.controller.start();
        await run.h.rest(2 * delay);
        await started;
        for (const one of steps) await run.do(one);
        await run.calm();
        run.check();
        // And at rest it rests.
        const { dumps } = run.h.kernel;
        run.h.tried();
        await run.h.rest(600_000);
        assert.deepEqual(run.h.tried(), []);
        assert.equal(run.h.kernel.dumps - dumps, 10, "one comparison a minute");
        await run.h.controller.stop();
      },
    ),
    { numRuns: 150 },
  );
});
