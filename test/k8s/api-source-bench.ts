/** A node source on a fake clock and a fake transport, for the tests of its list and watch loop. */
import assert from "node:assert/strict";
import type { IpAddress } from "../../src/ip/address.ts";
import { ApiNodeSource } from "../../src/k8s/api-source.ts";
import { ApiError } from "../../src/k8s/api-transport.ts";
import type { Nodes } from "../../src/k8s/node-source.ts";
import { silentLog } from "../../src/runtime/log.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { FakeTransport } from "./fake-transport.ts";
import { nodeObject, SEED } from "./node-objects.ts";

export const seed = (Object.keys(SEED) as (keyof typeof SEED)[]).map((name) =>
  nodeObject(name, SEED[name]),
);
export const node3 = nodeObject("node3", SEED.node3);
export const unreachable = () =>
  new ApiError("unreachable", "connect ECONNREFUSED 192.168.50.1:6443");

/** A source, started, with what it reported. */
export class Bench {
  readonly clock = new FakeClock();
  readonly transport = new FakeTransport();
  readonly changes: Nodes[] = [];
  readonly warnings: unknown[] = [];
  /** What was logged for operators since the Nodes were in step. */
  readonly told: string[] = [];
  readonly source: ApiNodeSource;
  /** Addresses on interfaces that are up. */
  readonly own = new Set(["192.168.50.50"] as IpAddress[]);

  constructor(known?: Nodes, version?: string) {
    const log = {
      ...silentLog,
      info: (_: unknown, message: string) => void this.told.push(message),
      warn: (fields: unknown, message: string) => {
        this.warnings.push(fields);
        this.told.push(message);
      },
    };
    const { transport, clock } = this;
    const carries = (own: IpAddress) => this.own.has(own);
    this.source = new ApiNodeSource({ transport, clock, log, random: () => 0, carries });
    this.source.start((nodes) => this.changes.push(new Map(nodes)), known, version);
  }

  /** Listed and watching from version 100. */
  static synced(): Bench {
    const bench = new Bench();
    bench.transport.last.list("100", seed);
    bench.transport.last.open();
    bench.told.length = 0;
    return bench;
  }

  get names(): string[] {
    return [...(this.changes.at(-1)?.keys() ?? [])];
  }

  /** Moves time on until there is another request; gives how long that took. */
  untilRequest(): number {
    const begun = this.clock.now();
    const before = this.transport.requests.length;
    while (this.transport.requests.length === before) {
      assert.ok(this.clock.now() - begun < 60_000, "no further request");
      this.clock.advance(10);
    }
    return this.clock.now() - begun;
  }

  /** Whether the request under way is a watch. */
  get watching(): boolean {
    return this.transport.last.query["watch"] === "true";
  }
}
