/** The planned CNI configuration, on files as kube-router, kindnet and administrators write them. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  type ConflistPlan,
  type ConflistWanted,
  isOwnConflist,
  ownPluginPaths,
  planConflist,
} from "../../src/cni/conflist.ts";
import { prefix } from "../../src/ip/prefix.ts";

const V4 = prefix("10.233.64.0/24");
const V6 = prefix("fd00:10:233:40::/64");
const wanted: ConflistWanted = { kind: "bridge", podCidrs: [V4], mtu: 1500 };

interface Written {
  readonly cniVersion: string;
  readonly name: string;
  readonly createdBy?: string;
  readonly plugins: readonly {
    readonly type: string;
    readonly ipam?: { readonly ranges?: unknown; readonly [key: string]: unknown };
    readonly [key: string]: unknown;
  }[];
  readonly [key: string]: unknown;
}

function good(plan: ConflistPlan): Extract<ConflistPlan, { ok: true }> {
  assert.equal(plan.ok, true);
  return plan as Extract<ConflistPlan, { ok: true }>;
}

/** What would be written; the file must change. */
function written(existing: unknown, change: Partial<ConflistWanted> = {}): Written {
  const text = existing === undefined ? undefined : JSON.stringify(existing);
  const plan = good(planConflist(text, { ...wanted, ...change }));
  assert.notEqual(plan.text, undefined, "nothing would be written");
  assert.equal(
    good(planConflist(plan.text, { ...wanted, ...change })).text,
    undefined,
    "not settled",
  );
  return JSON.parse(plan.text!) as Written;
}

/** The template of kube-router's manifests (reference: CNI configuration). */
const kubeRouter = (ipam: object = { type: "host-local" }) => ({
  cniVersion: "0.3.0",
  name: "mynet",
  plugins: [
    { name: "kubernetes", type: "bridge", bridge: "kube-bridge", isDefaultGateway: true, ipam },
    { type: "portmap", capabilities: { snat: true, portMappings: true } },
  ],
});

test("a new bridge configuration", () => {
  assert.deepEqual(written(undefined, { podCidrs: [V4, V6], mtu: 1450 }), {
    cniVersion: "1.0.0",
    name: "mynet",
    createdBy: "podrouter",
    plugins: [
      {
        type: "bridge",
        bridge: "kube-bridge",
        isDefaultGateway: true,
        forceAddress: true,
        hairpinMode: true,
        ipam: { type: "host-local", ranges: [[{ subnet: V4 }], [{ subnet: V6 }]] },
        mtu: 1450,
      },
      { type: "portmap", capabilities: { portMappings: true }, snat: true },
    ],
  });
});

test("a new ptp configuration is kindnet's, but for version and mark", () => {
  const { cniVersion, createdBy, ...rest } = written(undefined, {
    kind: "ptp",
    podCidrs: [prefix("10.244.2.0/24")],
  });
  assert.deepEqual([cniVersion, createdBy], ["1.0.0", "podrouter"]);
  // From the file of a kind node.
  assert.deepEqual(rest, {
    name: "kindnet",
    plugins: [
      {
        type: "ptp",
        ipMasq: false,
        ipam: {
          type: "host-local",
          dataDir: "/run/cni-ipam-state",
          routes: [{ dst: "0.0.0.0/0" }],
          ranges: [[{ subnet: "10.244.2.0/24" }]],
        },
        mtu: 1500,
      },
      { type: "portmap", capabilities: { portMappings: true } },
    ],
  });
});

test("the order of the pod CIDRs is that of the range sets", () => {
  const sets = written(undefined, { podCidrs: [V6, V4] }).plugins[0]?.ipam?.ranges;
  assert.deepEqual(sets, [[{ subnet: V6 }], [{ subnet: V4 }]]);
});

test("kube-router's file: its name, version and keys stay, ranges and MTU come in", () => {
  const before = kubeRouter();
  assert.deepEqual(written(before), {
    ...before,
    plugins: [
      {
        ...before.plugins[0],
        forceAddress: true,
        hairpinMode: true,
        mtu: 1500,
        ipam: { type: "host-local", ranges: [[{ subnet: V4 }]] },
      },
      before.plugins[1],
    ],
  });
});

test("ranges of an earlier pod CIDR go", () => {
  const old = kubeRouter({
    type: "host-local",
    ranges: [[{ subnet: "10.233.66.0/24" }], [{ subnet: V4, rangeStart: "10.233.64.10" }]],
  });
  assert.deepEqual(written(old).plugins[0]?.ipam?.ranges, [
    [{ subnet: V4, rangeStart: "10.233.64.10" }],
  ]);
});

test("a legacy ipam.subnet becomes a range, with its bounds", () => {
  const legacy = { type: "host-local", subnet: V4, rangeEnd: "10.233.64.99", dataDir: "/leases" };
  assert.deepEqual(written(kubeRouter(legacy)).plugins[0]?.ipam, {
    type: "host-local",
    dataDir: "/leases",
    ranges: [[{ subnet: V4, rangeEnd: "10.233.64.99" }]],
  });
  const foreign = { type: "host-local", subnet: "10.1.0.0/16" };
  assert.deepEqual(written(kubeRouter(foreign)).plugins[0]?.ipam, {
    type: "host-local",
    ranges: [[{ subnet: V4 }]],
  });
});

test("a range that is a part of the pod CIDR is the administrator's choice", () => {
  const half = { type: "host-local", ranges: [[{ subnet: "10.233.64.0/25" }, { subnet: V4 }]] };
  assert.deepEqual(written(kubeRouter(half)).plugins[0]?.ipam?.ranges, [
    [{ subnet: "10.233.64.0/25" }],
  ]);
});

test("unknown keys stay at every level, explicit choices too", () => {
  const before = {
    cniVersion: "0.4.0",
    name: "ours",
    disableCheck: true,
    plugins: [
      { type: "tuning", sysctl: { "net.core.somaxconn": "500" } },
      {
        type: "bridge",
        bridge: "cni0",
        hairpinMode: false,
        promiscMode: true,
        isGateway: true,
        dns: { nameservers: ["10.0.0.1"] },
        mtu: 9000,
        ipam: { type: "host-local", dataDir: "/leases", routes: [{ dst: "0.0.0.0/0" }] },
      },
      { type: "bandwidth", capabilities: { bandwidth: true } },
    ],
  };
  assert.deepEqual(written(before, { mtu: undefined }), {
    ...before,
    plugins: [
      before.plugins[0],
      {
        ...before.plugins[1],
        bridge: "kube-bridge",
        isDefaultGateway: true,
        forceAddress: true,
        ipam: { ...before.plugins[1]!.ipam, ranges: [[{ subnet: V4 }]] },
      },
      before.plugins[2],
    ],
  });
});

test("what kube-bridge gets with pods is what its plugin gives it", () => {
  const plugin = (fields: object) =>
    JSON.stringify({ ...kubeRouter(), plugins: [{ type: "bridge", ...fields }] });
  const gateways = (existing: string | undefined, change: Partial<ConflistWanted> = {}) =>
    good(planConflist(existing, { ...wanted, podCidrs: [V4, V6], ...change })).gateways.map(
      ({ address, length }) => `${address}/${length}`,
    );
  const first = ["10.233.64.1/24", "fd00:10:233:40::1/64"];
  assert.deepEqual(gateways(undefined), first);
  assert.deepEqual(gateways(JSON.stringify(kubeRouter())), first);
  const ranges = [[{ subnet: "fd00:10:233:40:8::/80", gateway: "fd00:10:233:40:8::fe" }]];
  const odd = { isDefaultGateway: true, ipam: { type: "host-local", ranges } };
  assert.deepEqual(gateways(plugin(odd)), ["10.233.64.1/24", "fd00:10:233:40:8::fe/80"]);
  assert.deepEqual(gateways(plugin({ isDefaultGateway: false })), []);
  assert.deepEqual(gateways(plugin({ isDefaultGateway: false, isGateway: true })), first);
  assert.deepEqual(gateways(plugin({ vlan: 7 })), []);
  assert.deepEqual(gateways(plugin({ ipam: { type: "dhcp" } })), []);
  assert.deepEqual(gateways(undefined, { kind: "ptp" }), []);
  const own = { socket: "/run/cni.sock", leases: "/var/lib/leases.json" };
  assert.deepEqual(gateways(undefined, { kind: "podrouter", own }), first);
});

test("from bridge to ptp: the leases stay known, the bridge's keys go", () => {
  const bridge = written(undefined);
  const after = written(bridge, { kind: "ptp", podCidrs: [V4, V6] });
  assert.equal(after.name, bridge.name);
  assert.deepEqual(after.plugins[0], {
    type: "ptp",
    ipMasq: false,
    ipam: {
      type: "host-local",
      routes: [{ dst: "0.0.0.0/0" }, { dst: "::/0" }],
      ranges: [[{ subnet: V4 }], [{ subnet: V6 }]],
    },
    mtu: 1500,
  });
  const back = written(after, { kind: "bridge" });
  assert.equal(back.plugins[0]?.["bridge"], "kube-bridge");
});

test("ptp: default routes follow the families, other routes stay", () => {
  const both = written(undefined, { kind: "ptp", podCidrs: [V4, V6] });
  const routes = [{ dst: "192.0.2.0/24", gw: "10.0.0.1" }, { dst: "::/0" }];
  const edited = {
    ...both,
    plugins: [{ ...both.plugins[0], ipam: { ...both.plugins[0]?.ipam, routes } }, both.plugins[1]],
  };
  const after = written(edited, { kind: "ptp", podCidrs: [V4] });
  assert.deepEqual(after.plugins[0]?.ipam?.["routes"], [{ dst: "0.0.0.0/0" }, routes[0]]);
});

const own = { socket: "/run/podrouter/cni.sock", leases: "/var/lib/podrouter/pod-leases.json" };

test("a new configuration of our own plugin", () => {
  const after = written(undefined, { kind: "podrouter", own, podCidrs: [V4, V6], mtu: 1450 });
  assert.deepEqual(after, {
    cniVersion: "1.0.0",
    name: "podrouter",
    createdBy: "podrouter",
    plugins: [
      { type: "podrouter-cni", ...own, capabilities: { ips: true, mac: true }, mtu: 1450 },
      { type: "portmap", capabilities: { portMappings: true }, snat: true },
    ],
  });
  assert.deepEqual(ownPluginPaths(JSON.stringify(after)), own);
  assert.equal(ownPluginPaths(JSON.stringify(kubeRouter())), undefined);
  assert.equal(ownPluginPaths("{"), undefined);
  const plan = good(planConflist(undefined, { ...wanted, kind: "podrouter", own }));
  assert.deepEqual(plan.programs, ["podrouter-cni", "portmap"]);
});

test("from bridge to our own plugin and back: the name stays, what is the other's goes", () => {
  const bridge = { ...kubeRouter(), plugins: [{ ...kubeRouter().plugins[0], strange: 1 }] };
  const after = written(bridge, { kind: "podrouter", own });
  assert.equal(after.name, "mynet");
  assert.deepEqual(after.plugins[0], {
    type: "podrouter-cni",
    ...own,
    capabilities: { ips: true, mac: true },
    name: "kubernetes",
    strange: 1,
    mtu: 1500,
  });
  const back = written(after);
  assert.equal(back.name, "mynet");
  assert.deepEqual(back.plugins[0], {
    type: "bridge",
    bridge: "kube-bridge",
    isDefaultGateway: true,
    forceAddress: true,
    hairpinMode: true,
    name: "kubernetes",
    strange: 1,
    ipam: { type: "host-local", ranges: [[{ subnet: V4 }]] },
    mtu: 1500,
  });
});

test("several pod CIDRs of a family: ptp uses all, the bridge the first and says so", () => {
  const second = prefix("10.233.80.0/24");
  const podCidrs = [V4, V6, second];
  const ptp = good(planConflist(undefined, { kind: "ptp", podCidrs, mtu: 1500 }));
  assert.deepEqual(ptp.notes, []);
  assert.deepEqual((JSON.parse(ptp.text!) as Written).plugins[0]?.ipam?.ranges, [
    [{ subnet: V4 }, { subnet: second }],
    [{ subnet: V6 }],
  ]);
  const bridge = good(planConflist(undefined, { ...wanted, podCidrs }));
  assert.match(bridge.notes.join(), /no pod gets an address of 10\.233\.80\.0\/24/);
  assert.match(bridge.notes.join(), /--cni-plugin=ptp and --cni-plugin=podrouter use all/);
  assert.deepEqual((JSON.parse(bridge.text!) as Written).plugins[0]?.ipam?.ranges, [
    [{ subnet: V4 }],
    [{ subnet: V6 }],
  ]);
});

test("another IPAM plugin is left alone, with a note", () => {
  const before = kubeRouter({ type: "whereabouts", range: "10.9.0.0/16" });
  const plan = good(planConflist(JSON.stringify(before), wanted));
  assert.match(plan.notes.join(), /not managed by host-local/);
  const after = JSON.parse(plan.text!) as Written;
  assert.deepEqual(after.plugins[0]?.ipam, before.plugins[0]!.ipam);
  assert.deepEqual(plan.programs, ["bridge", "whereabouts", "portmap"]);
});

test("what is right already is not written again, whatever its layout", () => {
  const { text } = good(planConflist(undefined, wanted));
  const compact = JSON.stringify(JSON.parse(text!));
  assert.equal(good(planConflist(compact, wanted)).text, undefined);
  assert.notEqual(good(planConflist(compact, { ...wanted, mtu: 1400 })).text, undefined);
});

test("versions that no list can have are replaced, later ones stay", () => {
  const versions: readonly (readonly [unknown, string])[] = [
    [undefined, "1.0.0"],
    ["0.2.0", "1.0.0"],
    ["0.3.1", "0.3.1"],
    ["1.1.0", "1.1.0"],
    ["latest", "1.0.0"],
    [3, "1.0.0"],
  ];
  for (const [cniVersion, expected] of versions) {
    assert.equal(written({ ...kubeRouter(), cniVersion }).cniVersion, expected);
  }
  assert.equal(written({ ...kubeRouter(), name: "" }).name, "mynet");
});

test("what is not a list of plugins that we know is refused", () => {
  const refusals: readonly (readonly [string, string])[] = [
    ["{", "not-json"],
    ["\u0000", "not-json"],
    ["[]", "not-a-list"],
    ["null", "not-a-list"],
    ["7", "not-a-list"],
    ['{"type":"bridge"}', "not-a-list"],
    ['{"plugins":{}}', "not-a-list"],
    ['{"plugins":["bridge"]}', "not-a-list"],
    ['{"plugins":[]}', "no-known-plugin"],
    ['{"plugins":[{"type":"calico"},{"type":"portmap"}]}', "no-known-plugin"],
  ];
  for (const [text, refusal] of refusals) {
    assert.deepEqual(planConflist(text, wanted), { ok: false, refusal }, text);
    assert.equal(isOwnConflist(text), false);
  }
});

test("an empty file, as a crash in the middle of writing leaves it, counts as none", () => {
  for (const text of ["", " \n"]) {
    assert.equal(good(planConflist(text, wanted)).text, good(planConflist(undefined, wanted)).text);
  }
});

test("only a file that was made here is ours", () => {
  assert.equal(isOwnConflist(good(planConflist(undefined, wanted)).text!), true);
  assert.equal(isOwnConflist(JSON.stringify(written(kubeRouter()))), false);
});

test("ranges and routes of any shape give a valid plan that is settled in one step", () => {
  const ipam = fc.record(
    {
      type: fc.constantFrom("host-local", "dhcp", 7),
      subnet: fc.constantFrom<unknown>(V4, "10.0.0.0/8", "x", 3, null),
      ranges: fc.anything(),
      routes: fc.anything(),
    },
    { requiredKeys: [] },
  );
  const plugin = fc.record({
    type: fc.constantFrom("bridge", "ptp", "podrouter-cni"),
    ipam: fc.option(ipam),
  });
  const kinds = fc.constantFrom(...(["bridge", "ptp", "podrouter"] as const));
  fc.assert(
    fc.property(plugin, kinds, (before, kind) => {
      const text = JSON.stringify({ plugins: [before] });
      const first = good(planConflist(text, { ...wanted, kind, own }));
      assert.equal(good(planConflist(first.text, { ...wanted, kind, own })).text, undefined);
    }),
  );
});
