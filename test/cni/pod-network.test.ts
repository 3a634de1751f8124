/** The whole on a machine in memory: who is told what, and when. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import type { ConflistFiles } from "../../src/cni/conflist-file.ts";
import type { HostAddress, HostLink } from "../../src/cni/host-links.ts";
import {
  PodNetwork,
  type PodNetworkOptions,
  type PodNetworkPorts,
  type PodNetworkWanted,
} from "../../src/cni/pod-network.ts";
import { PacketFilterError } from "../../src/cni/pod-rules.ts";
import { parseAddress } from "../../src/ip/address.ts";
import { prefix } from "../../src/ip/prefix.ts";
import { silentLog } from "../../src/runtime/log.ts";
import { FakeClock } from "../support/fake-clock.ts";

const PATH = "/etc/cni/net.d/10-kuberouter.conflist";
const NODE_IP = parseAddress("192.168.50.50")!;
const READY: PodNetworkWanted = {
  podCidrs: [prefix("10.233.64.0/24")],
  nodeIps: [NODE_IP],
  overheadBytes: 0,
  isOthers: () => false,
  notYet: undefined,
};

function machine() {
  const links: HostLink[] = [
    {
      index: 2,
      name: "enp1s0",
      kind: undefined,
      mtu: 1450,
      up: true,
      loopback: false,
      masterIndex: 0,
      hairpin: false,
    },
  ];
  const addresses: HostAddress[] = [{ linkIndex: 2, address: NODE_IP, length: 24 }];
  const done: string[] = [];
  const texts = new Map<string, string>();
  let closed = 0;
  let onLink = (): void => undefined;
  const files: ConflistFiles = {
    read: async (path) => texts.get(path),
    async write(path, text) {
      done.push("write");
      texts.set(path, text);
    },
    list: async () => [],
    isProgram: async () => true,
    watch: () => ({ close: () => undefined }),
  };
  const ports: PodNetworkPorts = {
    links: {
      async open(onEvent) {
        onLink = onEvent;
      },
      read: async () => ({
        links: [...links],
        addresses: [...addresses],
      }),
      async apply(operation) {
        done.push(operation.kind);
        if (operation.kind === "add-address") {
          const { index, address, length } = operation;
          addresses.push({ linkIndex: index, address, length });
        }
        if (operation.kind !== "create-bridge") return;
        const mtu = operation.mtu ?? 1500;
        const made = { index: 5, name: operation.name, kind: "bridge", mtu };
        links.push({ ...made, up: true, loopback: false, masterIndex: 0, hairpin: false });
      },
      close: () => undefined,
    },
    sysctls: { read: async () => "1", write: async () => undefined },
    files,
    choosePacketFilter: async () => {
      done.push("iptables");
      throw new PacketFilterError("missing", "iptables is not installed");
    },
    close: () => void closed++,
  };
  return { ports, links, addresses, done, texts, event: () => onLink(), closed: () => closed };
}

function setUp(t: TestContext, options: Partial<PodNetworkOptions> = {}) {
  const clock = new FakeClock();
  const world = machine();
  const network = new PodNetwork(
    {
      cni: true,
      plugin: "bridge",
      confFile: PATH,
      binFolder: "/opt/cni/bin",
      autoMtu: true,
      egress: true,
      exclude: [],
      dryRun: false,
      ...options,
    },
    { ports: world.ports, clock, random: () => 0, log: silentLog },
  );
  t.after(() => network.stop());
  network.start();
  return { ...world, clock, network };
}

test("before anything is wanted nothing is done", async (t) => {
  const { clock, done, network } = setUp(t);
  await clock.advanceAsync(1000);
  assert.deepEqual([done, network.conditions()], [[], []]);
});

test("bridge first, then the file with its MTU; the rules do not wait for either", async (t) => {
  const { clock, done, texts, network } = setUp(t);
  network.want(READY);
  await clock.advanceAsync(10);
  assert.deepEqual(
    done.filter((what) => what !== "iptables"),
    ["create-bridge", "write"],
  );
  assert.match(texts.get(PATH)!, /"mtu": 1450/);
  assert.match(network.notReady()!, /iptables is not installed/);
});

test("without a pod CIDR no pod can be made, unless somebody else makes them", async (t) => {
  const { clock, network } = setUp(t);
  network.want({ ...READY, podCidrs: [] });
  await clock.advanceAsync(10);
  assert.equal(network.notReady(), "this Node has no pod CIDR of its own yet");
  network.want(READY);
  await clock.advanceAsync(10);
  assert.match(network.notReady()!, /iptables is not installed/);
  const other = setUp(t, { cni: false });
  other.network.want({ ...READY, podCidrs: [] });
  await other.clock.advanceAsync(10);
  assert.match(other.network.notReady()!, /iptables is not installed/);
});

test("the file waits for the routes, the bridge does not", async (t) => {
  const { clock, done, texts, network } = setUp(t);
  network.want({ ...READY, notYet: "BGP has not converged" });
  await clock.advanceAsync(10);
  assert.equal(texts.size, 0);
  assert.ok(done.includes("create-bridge"));
  network.want(READY);
  await clock.advanceAsync(10);
  assert.equal(texts.size, 1);
});

test("a bridge that cannot be used holds a new file back", async (t) => {
  const { clock, links, texts, network, event } = setUp(t);
  links.push({ ...links[0]!, index: 7, name: "kube-bridge", kind: "dummy" });
  network.want(READY);
  await clock.advanceAsync(10);
  const waits = network.conditions().find(({ name }) => name === "cni-conf-waits");
  assert.match(waits!.message, /is not written yet: pods cannot be connected yet/);
  assert.equal(texts.size, 0);
  links.pop();
  event();
  await clock.advanceAsync(1000);
  assert.equal(texts.size, 1);
});

test("pods that run have the IPv6 gateway that the file names", async (t) => {
  const { clock, links, addresses, done, network } = setUp(t);
  const both = [...READY.podCidrs, prefix("fd00:40::/64")];
  network.want({ ...READY, podCidrs: both });
  await clock.advanceAsync(10);
  assert.equal(done.includes("add-address"), false, "there are no pods");
  await network.stop();
  // The agent starts again. Meanwhile there are pods, and the kernel took the address of IPv6.
  const pod = { ...links[1]!, index: 6, name: "veth6", kind: "veth", masterIndex: 5 };
  links.push({ ...pod, hairpin: true });
  const later = setUp(t);
  later.links.splice(0, later.links.length, ...links);
  later.network.want({ ...READY, podCidrs: both });
  await later.clock.advanceAsync(1000);
  assert.deepEqual(
    later.addresses.slice(addresses.length).map(({ linkIndex, address }) => [linkIndex, address]),
    [[5, "fd00:40::1"]],
  );
  assert.deepEqual(
    later.network.conditions().map(({ name }) => name),
    ["iptables-missing"],
  );
});

test("a bridge that is somebody else's is said to be", async (t) => {
  const { clock, links, network, event } = setUp(t);
  network.want(READY);
  await clock.advanceAsync(10);
  assert.equal(network.foreignBridge, undefined);
  links.push({ ...links[0]!, index: 7, name: "enp2s0", masterIndex: 5 });
  event();
  await clock.advanceAsync(1000);
  assert.match(network.foreignBridge!, /its port enp2s0 is no pod's/);
});

test("the same wish again does nothing", async (t) => {
  const { clock, network, ports } = setUp(t);
  network.want(READY);
  await clock.advanceAsync(10);
  let reads = 0;
  const read = ports.links.read.bind(ports.links);
  ports.links.read = () => {
    reads++;
    return read();
  };
  network.want({ ...READY, podCidrs: [...READY.podCidrs] });
  await clock.advanceAsync(10);
  assert.equal(reads, 0);
});

test("with --enable-cni=false only the masquerading is ours", async (t) => {
  const { clock, done, network } = setUp(t, { cni: false });
  network.want(READY);
  await clock.advanceAsync(10);
  assert.deepEqual([...new Set(done)], ["iptables"]);
  assert.deepEqual(
    network.conditions().map(({ name }) => name),
    ["iptables-missing"],
  );
});

test("a dry run says what it would do", async (t) => {
  const { clock, done, texts, network } = setUp(t, { dryRun: true, plugin: "ptp" });
  network.want(READY);
  await clock.advanceAsync(10);
  assert.deepEqual([texts.size, done.includes("write")], [0, false]);
  assert.deepEqual(network.planned(), [`write ${PATH}`]);
});

test("stop ends all of it, and leaves everything as it is", async (t) => {
  const { clock, network, closed, texts } = setUp(t);
  network.want(READY);
  await clock.advanceAsync(10);
  await network.stop();
  await clock.advanceAsync(120_000);
  assert.deepEqual([clock.pendingCount, closed(), texts.size], [0, 1, 1]);
});
