/**
 * The pod network of a node when calls to the kernel, to iptables or to the disk fail at any place:
 * bridge, settings, rules and CNI configuration are right in the end.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { LinkKernelError } from "../../src/cni/pod-links.ts";
import { PodNetwork, type PodNetworkWanted } from "../../src/cni/pod-network.ts";
import { PacketFilterError } from "../../src/cni/pod-rules.ts";
import { parseRules } from "../../src/cni/rules.ts";
import { parseAddress } from "../../src/ip/address.ts";
import { prefix } from "../../src/ip/prefix.ts";
import { FileError } from "../../src/runtime/files.ts";
import { silentLog } from "../../src/runtime/log.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { type Fault, FaultyPort, withEachFault, withPairsOfFaults } from "../support/faults.ts";
import { BIN, MemoryFiles } from "./memory-files.ts";
import { MemoryFilter } from "./memory-filter.ts";
import { MemoryKernel, MemorySysctls, NODE_IP } from "./memory-links.ts";

const PATH = "/etc/cni/net.d/10-kuberouter.conflist";
const GATEWAY = parseAddress("10.233.64.1")!;
const WANTED: PodNetworkWanted = {
  podCidrs: [prefix("10.233.64.0/24")],
  nodeIps: [NODE_IP],
  overheadBytes: 0,
  isOthers: () => false,
  notYet: undefined,
};
const OPTIONS = {
  cni: true,
  plugin: "bridge",
  confFile: PATH,
  binFolder: BIN,
  autoMtu: true,
  egress: true,
  exclude: [],
  dryRun: false,
} as const;

/** What an earlier run, that had IPv6 pods, left in a family that is not used any more. */
const OLD_RULE = '-i kube-bridge -m comment --comment "allow outbound traffic from pods" -j ACCEPT';

const CALLS = {
  links: ["open", "read", "apply"],
  filter: ["read", "change", "generation"],
  files: ["read", "write", "list"],
} as const;

function errorOf(code: string, call: string): Error {
  if (code === "filter") return new PacketFilterError("failed", `iptables: ${call}`);
  if (code === "missing") return new PacketFilterError("missing", "iptables is not installed");
  const file = ["ENOSPC", "EACCES"].includes(code);
  return file ? new FileError(PATH, code) : new LinkKernelError(code, `${code}: ${call}`);
}

type Port = keyof typeof CALLS;

/** A start, pods that come, a bridge that is removed under them, and rules that are flushed. */
async function scenario(port: Port, faults: readonly Fault[]): Promise<number> {
  const clock = new FakeClock();
  const links = new MemoryKernel();
  const filter = new MemoryFilter(clock);
  filter.rules.set("6 FORWARD", [...parseRules(`-A FORWARD ${OLD_RULE}`, "FORWARD")]);
  filter.rules.set("4 FORWARD", [...parseRules("-A FORWARD -j KUBE-FORWARD", "FORWARD")]);
  const files = new MemoryFiles();
  const faulty = new FaultyPort(faults, clock, errorOf);
  const around = <T extends object>(name: Port, inner: T) =>
    name === port
      ? faulty.around(inner, CALLS[name] as readonly string[] as readonly (keyof T & string)[])
      : inner;
  const used = around("filter", filter);
  const network = new PodNetwork(OPTIONS, {
    ports: {
      links: around("links", links),
      sysctls: new MemorySysctls(),
      files: around("files", files),
      choosePacketFilter: async () => ({ used, other: undefined }),
      close: () => undefined,
    },
    ...{ clock, random: () => 0, log: silentLog },
  });
  network.start();
  network.want(WANTED);
  await clock.advanceAsync(12_000);
  const bridge = links.links.find(({ name }) => name === "kube-bridge");
  const pod = { index: 50, name: "veth1", kind: "veth", mtu: 1500, up: true, loopback: false };
  links.links.push({ ...pod, masterIndex: bridge!.index, hairpin: true });
  links.addresses.push({ linkIndex: bridge!.index, address: GATEWAY, length: 24 });
  links.onEvent();
  await clock.advanceAsync(12_000);
  links.remove("kube-bridge");
  filter.flush(4);
  filter.rules.set("4 FORWARD", [...parseRules("-A FORWARD -j KUBE-FORWARD", "FORWARD")]);
  files.remove(PATH);
  await clock.advanceAsync(120_000);

  const made = links.links.find(({ name }) => name === "kube-bridge")!;
  assert.equal(made.up, true);
  assert.equal(links.links.find(({ index }) => index === 50)?.masterIndex, made.index, "the port");
  assert.ok(links.addresses.some((one) => one.linkIndex === made.index && one.address === GATEWAY));
  const forward = filter.chain(4, "FORWARD").map((rule) => rule.join(" "));
  assert.equal(forward.filter((rule) => rule.includes("kube-bridge")).length, 2, String(forward));
  assert.ok(forward.includes("-j KUBE-FORWARD"), "others' rules are untouched");
  assert.equal(filter.chain(4, "POSTROUTING").length, 1);
  assert.deepEqual(filter.chain(6, "FORWARD"), [], "what an earlier run left is gone");
  assert.ok(files.texts.get(PATH)?.includes("10.233.64.0/24"));
  assert.deepEqual(network.conditions(), []);
  const { length } = faulty.calls;
  assert.ok(length < (port === "filter" ? 400 : 80), `${length} calls`);
  await network.stop();
  return faults.length > 0 ? length : Math.min(length, 30);
}

const CODES: Readonly<Record<Port, readonly string[]>> = {
  links: ["EPERM", "EEXIST", "ENODEV"],
  filter: ["filter", "missing"],
  files: ["ENOSPC", "EACCES"],
};

for (const port of ["links", "filter", "files"] as const) {
  test(`${port}: one call that fails, whichever and however`, async () => {
    await withEachFault((faults) => scenario(port, faults), CODES[port]);
  });

  test(`${port}: two of them`, async () => {
    await withPairsOfFaults((faults) => scenario(port, faults), CODES[port]);
  });
}
