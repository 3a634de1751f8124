/** The speaker's whole configuration: what goes before what where several say the same. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type BgpPlan, type BgpPlanned, planBgp } from "../../src/agent/bgp-plan.ts";
import { configure } from "../../src/agent/config.ts";
import { parseConfigFile } from "../../src/agent/config-file/parse.ts";
import type { LoadedConfig } from "../../src/agent/config-file/source.ts";
import { MeshMemo } from "../../src/agent/mesh.ts";
import { TopologyReader } from "../../src/agent/node-feed.ts";
import type { IpAddress } from "../../src/ip/address.ts";
import { nodeSnapshot } from "../../src/k8s/node-snapshot.ts";
import type { Topology } from "../../src/k8s/topology.ts";
import { address } from "../support/address.ts";

const OTHER_NODE = "192.0.2.200";
const NODE_LEFT_OUT = `Node node2 is left out as well: ${OTHER_NODE} is the address of a peer that is left out`;

interface Given {
  readonly flags?: Readonly<Record<string, string>>;
  readonly file?: string;
  /** Undefined = without Nodes. */
  readonly addresses?: readonly string[];
  readonly annotations?: Readonly<Record<string, string>>;
  /** Of the flags, for want of their passwords. */
  readonly leftOut?: readonly IpAddress[];
}

function plan(given: Given, mesh?: MeshMemo): BgpPlan {
  const made = planned(given, mesh);
  assert.ok(made.ok, made.ok ? "" : made.reason);
  return made.plan;
}

function planned(given: Given, mesh = new MeshMemo()): BgpPlanned {
  const { flags = {}, file, addresses, annotations = {}, leftOut = [] } = given;
  const surroundings = { nodeName: "node1", hostName: "", inCluster: true };
  const configured = configure(new Map(Object.entries(flags)), surroundings);
  assert.ok(configured.ok);
  const topology = addresses === undefined ? undefined : topologyOf(addresses, annotations);
  const loaded = file === undefined ? undefined : loadedFrom(file);
  const { bgp } = configured.value;
  const external =
    leftOut.length > 0
      ? { ...bgp.external, peers: [], leftOut, passwordsFile: "/p" }
      : bgp.external;
  const config = { ...configured.value, bgp: { ...bgp, external } };
  return planBgp({ topology, config, loaded, restarted: false, mesh });
}

function topologyOf(
  addresses: readonly string[],
  annotations: Readonly<Record<string, string>>,
): Topology {
  const read = nodeSnapshot({
    metadata: { name: "node1", uid: "1", annotations },
    spec: { podCIDRs: [] },
    status: { addresses: addresses.map((address) => ({ type: "InternalIP", address })) },
  });
  assert.ok(!("rejected" in read));
  const other = nodeSnapshot({
    metadata: { name: "node2", uid: "2" },
    spec: { podCIDRs: [] },
    status: { addresses: [{ type: "InternalIP", address: OTHER_NODE }] },
  });
  assert.ok(!("rejected" in other));
  const nodes = new Map([read, other].map((node) => [node.name, node]));
  return new TopologyReader("node1", [4, 6]).read(nodes);
}

function loadedFrom(text: string): LoadedConfig {
  const parsed = parseConfigFile(text, "bgp.yaml");
  assert.ok(parsed.ok);
  return {
    file: parsed.file,
    digest: "1a2b3c4d5e6f",
    readSecret: (file) => ({ ok: false, problem: `${file}: no such file` }),
    stalePasswords: [],
  };
}

test("annotations that are not known, as misspelt ones, are a warning, without their values", () => {
  const read = (names: readonly string[]) => {
    const entries = names.map((name) => [`kube-router.io/${name}`, "c2VjcmV0"]);
    const annotations = { "example.org/x": "1", ...Object.fromEntries(entries) };
    return plan({ addresses: ["192.0.2.1"], annotations }).warnings;
  };
  assert.deepEqual(read(["peer.paswords"]), [
    {
      name: "annotations",
      severity: "warning",
      message:
        "annotation kube-router.io/peer.paswords of this Node is not looked at: " +
        "it is none that is known",
    },
  ]);
  const many = read(["a", "b", "c", "d", "e", "f\u001b[2J", "g"]);
  assert.match(
    many[0]!.message,
    /^annotations kube-router\.io\/a, \S+b, \S+c, \S+d, \S+e and 2 more of this Node are not looked at/,
  );
  assert.deepEqual(read([]), []);
});

test("maximum paths: the file, then the flag, then one", () => {
  const flags = { "maximum-paths": "4" };
  const alone = "global: { routerId: 192.0.2.1";
  const cases: readonly (readonly [Given, number])[] = [
    [{ addresses: ["192.0.2.1"] }, 1],
    [{ addresses: ["192.0.2.1"], flags }, 4],
    [{ addresses: ["192.0.2.1"], flags, file: "global: { maximumPaths: 2 }" }, 2],
    [{ addresses: ["192.0.2.1"], flags, file: "global: {}" }, 4],
    [{ file: `${alone} }` }, 1],
    [{ file: `${alone} }`, flags }, 4],
    [{ file: `${alone}, maximumPaths: 8 }`, flags }, 8],
  ];
  for (const [given, expected] of cases) {
    assert.equal(plan(given).speaker.maximumPaths, expected, JSON.stringify(given));
  }
});

test("the host name that peers are told: the file's, then the Node's", () => {
  const name = (given: Given) => plan(given).speaker.hostName;
  const addresses = ["192.0.2.1"];
  assert.equal(name({ addresses }), "node1");
  assert.equal(name({ addresses, file: "global: { hostName: edge1 }" }), "edge1");
  assert.equal(name({ file: "global: { hostName: edge1, routerId: 192.0.2.1 }" }), "edge1");
});

test("a Node with IPv6 only: it listens there, and has a router id all the same", () => {
  const { speaker } = plan({ addresses: ["fd00:192:168:50::50"] });
  assert.deepEqual(speaker.listen, [{ address: "fd00:192:168:50::50", port: 179 }]);
  assert.match(speaker.routerId, /^\d+\.\d+\.\d+\.\d+$/);
  const flags = { "router-id": "192.0.2.7" };
  assert.equal(plan({ addresses: ["fd00::50"], flags }).speaker.routerId, "192.0.2.7");
});

test("next hops of the other family: the link's, then where we listen, never the router id", () => {
  const peers = "peers: [{ name: a, address: 192.0.3.2, remoteAs: 1, localAddress: 192.0.3.1 }]";
  const nextHops = (given: Given) => {
    const [peer] = plan(given).peers;
    return [peer?.nextHopsByLink, peer?.nextHops];
  };
  const alone = "global: { routerId: 192.0.2.1";
  assert.deepEqual(nextHops({ file: `${alone} }\n${peers}` }), [true, ["192.0.3.1"]]);
  const bare = peers.replace(", localAddress: 192.0.3.1", "");
  assert.deepEqual(nextHops({ file: `${alone} }\n${bare}` }), [true, []]);
  const listen = "listen: [{ address: 192.0.2.9 }, { address: '2001:db8::9' }]";
  const given = [true, ["192.0.2.9", "2001:db8::9"]];
  assert.deepEqual(nextHops({ file: `${alone}, ${listen} }\n${bare}` }), given);
  const addresses = ["192.0.2.7", "2001:db8::7"];
  assert.deepEqual(nextHops({ file: bare, addresses }), [true, addresses]);
});

test("the port to listen on: the file's, otherwise --bgp-port, with and without a cluster", () => {
  const ports = (given: Given) => plan(given).speaker.listen.map(({ port }) => port);
  const flags = { "bgp-port": "1179" };
  const listen = "[{ address: 192.0.2.9 }, { address: 192.0.2.8, port: 1180 }]";
  const alone = `global: { routerId: 192.0.2.1, listen: ${listen} }\n`;
  const addresses = ["192.0.2.7"];
  assert.deepEqual(ports({ flags, file: alone }), [1179, 1180]);
  assert.deepEqual(ports({ file: alone }), [179, 1180]);
  assert.deepEqual(
    ports({ flags, addresses, file: `global: { listen: ${listen} }\n` }),
    [1179, 1180],
  );
  assert.deepEqual(ports({ flags, addresses }), [1179]);
});

test("peers that are named: by the file, flags and annotations, and not as Nodes", () => {
  const addresses = ["192.0.2.1"];
  const annotations = { "kube-router.io/peers": "[{ remoteip: 192.0.2.9, remoteasn: 65001 }]" };
  const flags = { "peer-router-ips": "192.0.2.8", "peer-router-asns": "65001" };
  const file = `peers: [{ name: tor, address: 192.0.2.7, remoteAs: 65001 },
    { name: node, address: ${OTHER_NODE}, remoteAs: 65001 }]`;
  const named = (given: Given) => plan(given).named;
  assert.deepEqual(named({ addresses }), []);
  assert.deepEqual(named({ addresses, annotations }), ["192.0.2.9"]);
  assert.deepEqual(named({ addresses, annotations, flags }), ["192.0.2.8"]);
  assert.deepEqual(named({ addresses, flags, file }), ["192.0.2.7", OTHER_NODE, "192.0.2.8"]);
  const alone = `global: { routerId: 192.0.2.1 }\n${file}`;
  assert.deepEqual(named({ file: alone }), ["192.0.2.7", OTHER_NODE]);
});

test("BFD of the annotation is a warning, not a problem", () => {
  const peers = "- remoteip: 192.0.2.9\n  remoteasn: 65001\n  bfd: { enabled: true }\n";
  const annotations = { "kube-router.io/peers": peers };
  const made = plan({ addresses: ["192.0.2.1"], annotations });
  assert.deepEqual(made.problems, []);
  assert.deepEqual(
    made.warnings.map(({ name, severity }) => [name, severity]),
    [["bfd", "warning"]],
  );
  assert.deepEqual(plan({ addresses: ["192.0.2.1"] }).warnings, []);
});

test("what is missing for BGP to do anything is a fault, unless it comes by itself", () => {
  const fault = (given: Given) => {
    const made = planned(given);
    assert.ok(!made.ok);
    return { fault: made.fault === true, reason: made.reason };
  };
  assert.deepEqual(fault({ file: "global: { as: 64512 }" }), {
    fault: true,
    reason: "global.routerId is needed in the configuration file, or --router-id",
  });
  assert.ok(planned({ file: "", flags: { "router-id": "192.0.2.1" } }).ok);
  const flags = { "nodes-full-mesh": "false" };
  assert.deepEqual(fault({ addresses: ["192.0.2.1"], flags }), {
    fault: true,
    reason:
      "Node node1 has no annotation kube-router.io/node.asn, which --nodes-full-mesh=false needs",
  });
  assert.equal(fault({ addresses: [] }).fault, false);
});

test("a peer of the file without its password is nobody's: not the annotation's, not a Node's", () => {
  const annotations = { "kube-router.io/peers": "[{ remoteip: 192.0.2.9, remoteasn: 65001 }]" };
  const given = { addresses: ["192.0.2.1"], annotations };
  const names = ({ peers }: BgpPlan) => peers.map(({ name }) => name);
  assert.deepEqual(names(plan(given)), ["192.0.2.9", "node2"]);
  const entry = (name: string, address: string) =>
    `{ name: ${name}, address: ${address}, remoteAs: 65001, passwordFile: /key }`;
  const made = plan({
    ...given,
    file: `peers: [${entry("tor", "192.0.2.9")}, ${entry("node", OTHER_NODE)}]`,
  });
  assert.deepEqual(names(made), []);
  assert.deepEqual(made.problems, [
    "peer tor is left out: /key: no such file",
    "peer node is left out: /key: no such file",
    NODE_LEFT_OUT,
  ]);
  const flags = { "peer-router-ips": OTHER_NODE, "peer-router-asns": "65001" };
  const flagged = { addresses: ["192.0.2.1"], flags, leftOut: [address(OTHER_NODE)] };
  assert.deepEqual(names(plan(flagged)), [], "nor is one of the flags");
  const file = `peers: [{ name: node, address: ${OTHER_NODE}, remoteAs: 65001 }]`;
  assert.deepEqual(names(plan({ ...flagged, file })), ["node"], "the file goes before them");
});

test("an annotation's peer that is wrong keeps its address from a Node", () => {
  const read = (annotations: Readonly<Record<string, string>>, more: Given = {}) =>
    plan({ addresses: ["192.0.2.1"], annotations, ...more });
  const told = ({ peers, problems }: BgpPlan) => [peers.map(({ name }) => name), problems.slice(1)];
  const entry = (rest: string) => `[{ remoteip: ${OTHER_NODE}, ${rest} }]`;
  const wrong = entry("remoteasn: 65001, password: '%'");
  const made = read({ "kube-router.io/peers": wrong });
  assert.deepEqual(told(made), [[], [NODE_LEFT_OUT]]);
  assert.match(made.problems[0]!, /entry 1: password is not base64 .*; the entry is left out$/);
  for (const rest of ["remoteasn: no", "port: 0, remoteasn: 1", "remoteasn: 1, localip: '::1'"]) {
    assert.deepEqual(told(read({ "kube-router.io/peers": entry(rest) })), [[], [NODE_LEFT_OUT]]);
  }
  const lists = {
    "kube-router.io/peer.ips": `192.0.2.9,${OTHER_NODE}`,
    "kube-router.io/peer.asns": "65001,65001",
    "kube-router.io/peer.passwords": "%,",
  };
  assert.deepEqual(told(read(lists)), [[], [NODE_LEFT_OUT]]);
  const { "kube-router.io/peer.asns": _, ...noAs } = lists;
  assert.deepEqual(read(noAs).peers, []);
  // What goes before it has the address, and so it does where these are not looked at.
  const file = `peers: [{ name: node, address: ${OTHER_NODE}, remoteAs: 65001 }]`;
  const twice = `peer ${OTHER_NODE} is named twice; it is node, not node2`;
  assert.deepEqual(told(read({ "kube-router.io/peers": wrong }, { file })), [["node"], [twice]]);
  const flags = { "peer-router-ips": "192.0.2.9", "peer-router-asns": "65001" };
  const flagged = read({ "kube-router.io/peers": wrong }, { flags });
  assert.deepEqual(told(flagged), [["192.0.2.9", "node2"], []]);
  assert.equal(made.nodePeers?.change(new Map()), undefined, "a change of Nodes plans anew");
});

test("a policy that says the same is the same object from plan to plan", () => {
  const flags = { "peer-router-ips": "192.0.2.9", "peer-router-asns": "65001" };
  const peer = "{ name: a, address: 192.0.3.2, remoteAs: 1, import: in, export: out }";
  const memo = new MeshMemo();
  // The file is read again each time, as SIGHUP does.
  const policies = (result: string) => {
    const list = `{ name: in, default: ${result} }, { name: out, default: accept }`;
    const file = `policies: [${list}]\npeers: [${peer}]`;
    const { peers } = plan({ file, flags, addresses: ["192.0.2.1"] }, memo);
    return peers.flatMap(({ importPolicy, exportPolicy }) => [importPolicy, exportPolicy]);
  };
  const first = policies("accept");
  assert.equal(first.length, 6, "of the file's peer, the flag's and the other Node");
  const isSame = (others: typeof first) => others.map((policy, i) => policy === first[i]);
  assert.deepEqual(isSame(policies("accept")), Array(6).fill(true));
  const changed = policies("reject");
  assert.equal(changed[0]?.defaultResult, "reject");
  assert.deepEqual(isSame(changed), [false, ...Array(5).fill(true)]);
  assert.deepEqual(policies("accept"), first);
});
