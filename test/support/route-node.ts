/** A node with one interface, and a route controller over the running kernel in it. */
import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import { Namespace } from "../../packages/netlink-ts/test/support/namespace.ts";
import { prefix } from "../../src/ip/prefix.ts";
import { RouteController } from "../../src/routes/controller.ts";
import { NetlinkKernel } from "../../src/routes/netlink-kernel.ts";
import type { RouteControllerOptions } from "../../src/routes/ports.ts";
import { silentLog } from "../../src/runtime/log.ts";
import { systemClock } from "../../src/runtime/system-clock.ts";
import { address } from "../routes/fake-kernel.ts";
import { FakeDesired } from "../routes/harness.ts";
import { until } from "./shell.ts";
import { Yardstick } from "./yardstick.ts";

/** A node with enp1s0, and a controller in it. */
export class RouteNode {
  readonly namespace: Namespace;
  readonly desired = new FakeDesired();
  readonly kernel: NetlinkKernel;
  readonly controller: RouteController;
  /** How often it was told that neighbours may be reached otherwise. */
  news = 0;

  private constructor(namespace: Namespace, options: Partial<RouteControllerOptions>) {
    this.namespace = namespace;
    this.kernel = new NetlinkKernel({ around: (make) => namespace.enter(make) });
    this.controller = new RouteController(
      { guards: { protectedAddresses: [], ownPodCidrs: [] }, ...options },
      {
        kernel: this.kernel,
        desired: this.desired,
        clock: systemClock,
        random: Math.random,
        log: silentLog,
        onTopology: (_, news) => {
          if (news) this.news++;
        },
      },
    );
  }

  static make(
    t: TestContext,
    options: Partial<RouteControllerOptions> = {},
  ): RouteNode | undefined {
    const namespace = Namespace.make(t);
    if (namespace === undefined) return undefined;
    namespace.veth("enp1s0", "192.168.50.50/24");
    namespace.ip("address add 2001:db8::50/64 dev enp1s0 nodad");
    const node = new RouteNode(namespace, options);
    t.after(() => node.controller.stop());
    return node;
  }

  want(destination: string, ...nextHops: string[]): void {
    const to = prefix(destination);
    if (nextHops.length === 0) this.desired.routes.delete(to);
    else this.desired.routes.set(to, { prefix: to, nextHops: nextHops.map(address) });
    this.controller.markDirty([to]);
  }

  /** Lines of `ip route`, IPv6 then too. */
  routes(words = "proto 17", families = ["-4", "-6"]): string[] {
    const lines = families.flatMap((family) =>
      this.namespace.ip(`-o ${family} route show ${words}`).split("\n"),
    );
    return lines.map((line) => line.replace(/\s+/g, " ").trim()).filter((line) => line !== "");
  }

  /**
   * Waits until the namespace has exactly these routes of ours; the milliseconds it took. Each
   * look holds the event loop, and the controller with it: where looks take long, what is promised
   * within `promisedMs` may take as many of them as others need.
   */
  async has(lines: readonly string[], promisedMs = 1000): Promise<number> {
    const looks = new Yardstick();
    const began = performance.now();
    const isSo = () => {
      assert.deepEqual(
        looks.timeSync(() => this.routes()),
        lines,
      );
      return true;
    };
    await until(lines.join(", "), isSo, 30_000, 2);
    const took = performance.now() - began;
    assert.ok(took < looks.exchangesMs(promisedMs), looks.told(took));
    return took;
  }

  codes(): string[] {
    return this.controller.status().conditions.map((condition) => condition.code);
  }
}
