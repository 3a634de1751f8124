/** What the tests of the ipsets' controller share. */
import { type IpAddress, parseAddress } from "../../src/ip/address.ts";
import { prefix } from "../../src/ip/prefix.ts";
import { SetController, type SetControllerOptions } from "../../src/ipset/controller.ts";
import type { SetContents } from "../../src/ipset/desired.ts";
import { silentLog } from "../../src/runtime/log.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { FakeSets } from "./fake-sets.ts";

export const PODS = "kube-router-pod-subnets";
export const IPS = "kube-router-node-ips";
export const PODS6 = "inet6:kube-router-pod-subnets";
export const IPS6 = "inet6:kube-router-node-ips";

export function contents(podSubnets: readonly string[], nodeIps: readonly string[]): SetContents {
  return {
    podSubnets: podSubnets.map(prefix),
    nodeIps: nodeIps.map((text) => parseAddress(text) as IpAddress),
  };
}

export const THREE = contents(
  ["10.233.64.0/24", "10.233.65.0/24", "10.233.66.0/24"],
  ["192.168.50.50", "192.168.50.51", "192.168.50.52"],
);
export const TWO = contents(
  ["10.233.64.0/24", "10.233.65.0/24"],
  ["192.168.50.50", "192.168.50.51"],
);

/** A controller on sets in memory and a fake clock. */
export function setUp(options: SetControllerOptions = {}) {
  const clock = new FakeClock();
  const kernel = new FakeSets();
  const controller = new SetController(options, { kernel, clock, random: () => 0, log: silentLog });
  const codes = () => controller.status().conditions.map((condition) => condition.code);
  const messages = () =>
    controller
      .status()
      .conditions.map(({ message }) => message)
      .join("\n");
  return { clock, kernel, controller, codes, messages };
}
