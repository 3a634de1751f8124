/** Whether pods can be reached all the while, and what happened when they could not. */
import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import type { Cluster } from "./cluster.ts";
import { Daemon, run } from "./shell.ts";

export interface Pings {
  /** A namespace of the cluster. */
  readonly from: string;
  readonly to: string;
  /** One each 50 ms. */
  readonly count: number;
  /** Nodes whose kernel is watched meanwhile. */
  readonly watched: readonly string[];
}

/**
 * Pings while something happens: all must be answered. If they are not, the failure tells what the
 * watched kernels and the agents said, for a gap of some milliseconds cannot be seen afterwards.
 */
export async function unbroken(
  t: TestContext,
  cluster: Cluster,
  { from, to, count, watched }: Pings,
  happens: () => Promise<void>,
): Promise<void> {
  const { namespaces } = cluster;
  const monitors = watched.map((name) => {
    const args = ["-n", namespaces.name(name), "-o", "-ts", "monitor", "all"];
    return new Daemon(`ip monitor of ${name}`, "ip", args);
  });
  t.after(() => Promise.all(monitors.map((monitor) => monitor.stop())));
  const inside = ["netns", "exec", namespaces.name(from)];
  const ping = ["ping", "-D", "-O", "-i", "0.05", "-c", `${count}`, "-W", "2", to];
  const pings = run("ip", [...inside, ...ping]);
  await happens();
  const { stdout } = await pings;
  const said = [...monitors, ...cluster.agents.values()].map((one) => `${one.name}\n${one.output}`);
  const whole = new RegExp(`${count} packets transmitted, ${count} received, 0% packet loss`);
  assert.match(stdout, whole, [stdout, ...said].join("\n\n"));
}
