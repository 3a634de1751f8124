/** Flags and identity: what each text becomes, and what is said of a wrong one. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type AgentConfig, configure } from "../../src/agent/config.ts";
import { formatDuration, parseDurationMs } from "../../src/agent/flag-values.ts";
import { ABSENT_PARTS, RUN_FLAGS } from "../../src/agent/flags.ts";

const HERE = { nodeName: undefined, hostName: "node1", inCluster: false } as const;

function configOf(given: Readonly<Record<string, string>> = {}): AgentConfig {
  const configured = configure(new Map(Object.entries(given)), HERE);
  assert.ok(configured.ok, configured.ok ? "" : configured.problems.join("; "));
  return configured.value;
}

function problemsOf(given: Readonly<Record<string, string>>): readonly string[] {
  const configured = configure(new Map(Object.entries(given)), HERE);
  return configured.ok ? [] : configured.problems;
}

test("defaults are what the help says", () => {
  assert.deepEqual(configOf(), {
    nodeName: "node1",
    configFile: undefined,
    nodes: { kind: "api", kubeconfig: undefined, master: undefined },
    stateDir: "/var/lib/podrouter",
    adminSocket: "/run/podrouter/podrouter.sock",
    dryRun: false,
    families: [4, 6],
    bgp: {
      clusterAs: 64512,
      port: 179,
      holdSeconds: 90,
      routerId: "primary",
      maximumPaths: 1,
      restartSeconds: 90,
      deferralSeconds: 10,
      fullMesh: true,
      nodePeers: true,
      advertisePodCidr: true,
      overrideNextHop: false,
      external: { peers: [], multihopTtl: 0, passwordsFile: undefined },
    },
    ipsetSyncSeconds: 300,
    routeSyncSeconds: 60,
    health: { address: undefined, port: 20244 },
    metrics: undefined,
    log: { level: "info", format: "json" },
    parts: { router: true },
    overlay: undefined,
    pods: {
      cni: true,
      plugin: "bridge",
      own: undefined,
      confFile: "/etc/cni/net.d/10-kuberouter.conflist",
      binFolder: "/opt/cni/bin",
      autoMtu: true,
      egress: true,
      exclude: [],
    },
  });
});

test("each good text becomes its value", () => {
  const cases: readonly [string, string, (config: AgentConfig) => unknown, unknown][] = [
    ["cluster-asn", "65535", (config) => config.bgp.clusterAs, 65535],
    ["cluster-asn", "4294967294", (config) => config.bgp.clusterAs, 4294967294],
    ["cluster-asn", "0", (config) => config.bgp.clusterAs, 64512],
    ["bgp-port", "1179", (config) => config.bgp.port, 1179],
    ["bgp-holdtime", "3s", (config) => config.bgp.holdSeconds, 3],
    ["bgp-holdtime", "18h12m15s", (config) => config.bgp.holdSeconds, 65535],
    ["bgp-holdtime", "1.5m", (config) => config.bgp.holdSeconds, 90],
    ["bgp-holdtime", "0s", (config) => config.bgp.holdSeconds, 0],
    ["bgp-holdtime", "90000ms", (config) => config.bgp.holdSeconds, 90],
    ["bgp-graceful-restart", "false", (config) => config.bgp.restartSeconds, undefined],
    ["bgp-graceful-restart-time", "1h8m15s", (config) => config.bgp.restartSeconds, 4095],
    ["bgp-graceful-restart-deferral-time", "6m0s", (config) => config.bgp.deferralSeconds, 360],
    ["router-id", "10.1.2.3", (config) => config.bgp.routerId, "10.1.2.3"],
    ["router-id", "generate", (config) => config.bgp.routerId, "generate"],
    ["maximum-paths", "64", (config) => config.bgp.maximumPaths, 64],
    ["nodes-full-mesh", "F", (config) => config.bgp.fullMesh, false],
    ["enable-ibgp", "0", (config) => config.bgp.nodePeers, false],
    ["enable-ipv6", "false", (config) => config.families, [4]],
    ["routes-sync-period", "30s", (config) => config.ipsetSyncSeconds, 30],
    ["injected-routes-sync-period", "15s", (config) => config.routeSyncSeconds, 15],
    ["health-port", "0", (config) => config.health, undefined],
    ["health-addr", "::1", (config) => config.health, { address: "::1", port: 20244 }],
    [
      "metrics-port",
      "8080",
      (config) => config.metrics,
      { address: undefined, port: 8080, path: "/metrics" },
    ],
    ["v", "1", (config) => config.log.level, "info"],
    ["v", "2", (config) => config.log.level, "debug"],
    ["v", "4", (config) => config.log.level, "trace"],
    ["log-format", "text", (config) => config.log.format, "text"],
    ["dry-run", "true", (config) => config.dryRun, true],
    ["run-router", "false", (config) => config.parts.router, false],
    ["enable-cni", "FALSE", (config) => config.pods.cni, false],
    ["enable-pod-egress", "f", (config) => config.pods.egress, false],
    ["cni-plugin", "ptp", (config) => config.pods.plugin, "ptp"],
    ["cni-conf-file", "/x/10.conflist", (config) => config.pods.confFile, "/x/10.conflist"],
    ["cni-bin-dir", "/usr/lib/cni", (config) => config.pods.binFolder, "/usr/lib/cni"],
    ["auto-mtu", "false", (config) => config.pods.autoMtu, false],
    ["masquerade-exclude", "", (config) => config.pods.exclude, []],
    [
      "masquerade-exclude",
      "10.0.0.0/8, fd00::/8,10.0.0.0/8",
      (config) => config.pods.exclude,
      ["10.0.0.0/8", "fd00::/8"],
    ],
    [
      "master",
      "https://[fd00::1]:6443",
      (config) => config.nodes,
      {
        kind: "api",
        kubeconfig: undefined,
        master: "https://[fd00::1]:6443",
      },
    ],
    ["nodes-file", "nodes.yaml", (config) => config.nodes, { kind: "file", path: "nodes.yaml" }],
    ["run-firewall", "false", (config) => config.parts.router, true],
  ];
  for (const [name, text, read, expected] of cases) {
    assert.deepEqual(read(configOf({ [name]: text })), expected, `--${name}=${text}`);
  }
});

test("each wrong text is named with its flag, its value and what was expected", () => {
  const seconds = "expected whole seconds as a duration such as 90s or 1m30s, from";
  const asn = "expected a private AS number: 64512 to 65535, or 4200000000 to 4294967294";
  const cases: readonly [string, string, string][] = [
    ["cluster-asn", "64511", asn],
    ["cluster-asn", "65536", asn],
    ["cluster-asn", "4294967295", asn],
    ["cluster-asn", "-1", asn],
    ["cluster-asn", "", asn],
    ["bgp-port", "0", "expected a whole number from 1 to 65535"],
    ["bgp-port", "65536", "expected a whole number from 1 to 65535"],
    ["bgp-port", "0x10", "expected a whole number from 1 to 65535"],
    ["bgp-port", "179 ", "expected a whole number from 1 to 65535"],
    ["bgp-holdtime", "90", `${seconds} 3s to 18h12m15s, or 0s for no keepalives at all`],
    ["bgp-holdtime", "2s", `${seconds} 3s to 18h12m15s, or 0s for no keepalives at all`],
    ["bgp-holdtime", "18h12m16s", `${seconds} 3s to 18h12m15s, or 0s for no keepalives at all`],
    ["bgp-holdtime", "-90s", `${seconds} 3s to 18h12m15s, or 0s for no keepalives at all`],
    ["bgp-holdtime", "3500ms", `${seconds} 3s to 18h12m15s, or 0s for no keepalives at all`],
    ["bgp-graceful-restart", "yes", "expected true or false"],
    ["bgp-graceful-restart-time", "4096s", `${seconds} 1s to 1h8m15s`],
    ["bgp-graceful-restart-time", "0", `${seconds} 1s to 1h8m15s`],
    ["bgp-graceful-restart-deferral-time", "19h", `${seconds} 1s to 18h`],
    ["router-id", "0.0.0.0", "expected an IPv4 address other than 0.0.0.0, or generate"],
    ["router-id", "fd00::1", "expected an IPv4 address other than 0.0.0.0, or generate"],
    ["router-id", "01.2.3.4", "expected an IPv4 address other than 0.0.0.0, or generate"],
    ["maximum-paths", "0", "expected a whole number from 1 to 64"],
    ["maximum-paths", "65", "expected a whole number from 1 to 64"],
    ["health-addr", "localhost", "expected an IPv4 or IPv6 address (empty = all)"],
    ["health-port", "65536", "expected a whole number from 0 to 65535"],
    ["metrics-path", "metrics", "expected a URL path such as /metrics"],
    ["master", "192.168.50.50:6443", "expected an http:// or https:// URL"],
    ["admin-socket", "", "expected a path of 1 to 107 bytes"],
    ["log-format", "xml", "expected json or text"],
    ["v", "-1", "expected a whole number from 0 to 99"],
    ["run-service-proxy", "maybe", "expected false"],
  ];
  for (const [name, text, expected] of cases) {
    const dashes = name === "v" ? "-" : "--";
    assert.deepEqual(problemsOf({ [name]: text }), [`${dashes}${name}=${text}: ${expected}`]);
  }
});

test("every flag refuses control characters and endless text with one sentence", () => {
  for (const { name } of Object.values(RUN_FLAGS)) {
    for (const text of ["a\u0000b\u001b[2J", "x".repeat(100_000)]) {
      const [problem, ...rest] = problemsOf({ [name]: text });
      assert.ok(problem !== undefined, name);
      assert.deepEqual(rest, [], name);
      assert.ok(problem.length < 400, name);
      assert.doesNotMatch(problem, /[\p{Cc}]/u, name);
    }
  }
});

test("all wrong flags are named, not only the first", () => {
  assert.equal(problemsOf({ "bgp-port": "x", "health-port": "y", "run-firewall": "z" }).length, 3);
});

test("wrong flags that are looked at together with others are named at once as well", () => {
  const given = {
    "cluster-asn": "abc",
    "peer-router-ips": "300.1.1.1",
    "peer-router-asns": "0",
    "cni-conf-file": "/etc/cni/a.json",
    "enable-ipv4": "false",
    "enable-ipv6": "false",
    v: "x",
  };
  const named = problemsOf(given).map((problem) => /^--?([a-z0-9-]+)/.exec(problem)?.[1]);
  assert.deepEqual(named.sort(), [
    "cluster-asn",
    "cni-conf-file",
    "enable-ipv4",
    "peer-router-asns",
    "peer-router-ips",
    "v",
  ]);
  // What cannot be read is one mistake: nothing follows from it.
  const many = Array.from({ length: 1025 }, () => "192.0.2.1").join();
  assert.equal(problemsOf({ "peer-router-ips": many, "peer-router-asns": "1" }).length, 1);
});

test("parts that are not there are refused when asked for", () => {
  for (const name of Object.keys(ABSENT_PARTS)) {
    assert.match(
      problemsOf({ [name]: "true" })[0]!,
      new RegExp(`^--${name}=true: podrouter has no`),
    );
  }
});

test("flags that exclude each other are refused", () => {
  assert.match(problemsOf({ "nodes-file": "n", kubeconfig: "k" })[0]!, /^--nodes-file: /);
  assert.match(problemsOf({ "nodes-file": "n", master: "http://a" })[0]!, /^--nodes-file: /);
  assert.match(
    problemsOf({ "enable-ipv4": "false", "enable-ipv6": "false" })[0]!,
    /^--enable-ipv4=false: /,
  );
});

test("metrics that would take the place of a probe are refused", () => {
  const port = { "metrics-port": "20244" };
  const refused: readonly [Record<string, string>, RegExp][] = [
    [{ ...port, "metrics-path": "/healthz" }, /^--metrics-path=\/healthz: expected another path/],
    [{ ...port, "metrics-path": "/readyz" }, /^--metrics-path=\/readyz: expected another path/],
    // What the manifest says of the probes, and one flag more.
    [{ ...port, "health-addr": "127.0.0.1" }, /^--metrics-port=20244: expected another one/],
    [{ ...port, "metrics-addr": "fd00::1" }, /^--metrics-port=20244: expected another one/],
    [{ ...port, "metrics-addr": "0.0.0.0", "health-addr": "127.0.0.1" }, /^--metrics-port=20244: /],
    [{ ...port, "metrics-addr": "::", "health-addr": "127.0.0.1" }, /^--metrics-port=20244: /],
  ];
  for (const [given, expected] of refused) {
    const [problem, ...rest] = problemsOf(given);
    assert.match(problem ?? "", expected, JSON.stringify(given));
    assert.deepEqual(rest, []);
  }
  const taken: readonly Record<string, string>[] = [
    port,
    { ...port, "metrics-addr": "127.0.0.1", "health-addr": "127.0.0.1" },
    { ...port, "metrics-addr": "192.0.2.1", "health-addr": "127.0.0.1" },
    { ...port, "metrics-addr": "0.0.0.0", "health-addr": "::1" },
    { "metrics-port": "20241", "metrics-path": "/readyz" },
    { "health-port": "0", ...port, "metrics-path": "/readyz" },
  ];
  for (const given of taken) assert.deepEqual(problemsOf(given), [], JSON.stringify(given));
});

test("identity: flag, then NODE_NAME, then the host name in lower case", () => {
  const nameOf = (
    override: string | undefined,
    nodeName: string | undefined,
    hostName: string,
  ): string => {
    const given = new Map(override === undefined ? [] : [["hostname-override", override]]);
    const configured = configure(given, { nodeName, hostName, inCluster: false });
    return configured.ok ? configured.value.nodeName : configured.problems.join("; ");
  };
  assert.equal(nameOf("flag", "env", "host"), "flag");
  assert.equal(nameOf(undefined, "env", "host"), "env");
  assert.equal(nameOf("", "", "Host.Example.COM"), "host.example.com");
  assert.match(
    nameOf("Not_A_Node", "env", "host"),
    /^--hostname-override=Not_A_Node: expected the/,
  );
  assert.match(nameOf(undefined, "a b", "host"), /^NODE_NAME is "a b": expected the name/);
  assert.match(nameOf(undefined, undefined, "bad_host"), /^the host name is "bad_host": expected/);
});

test("durations are Go's", () => {
  const cases: readonly [string, number | undefined][] = [
    ["0", 0],
    ["90s", 90_000],
    ["1m30s", 90_000],
    ["1h", 3_600_000],
    ["2h45m0.5s", 9_900_500],
    ["1500ms", 1500],
    ["", undefined],
    ["s", undefined],
    ["5", undefined],
    ["5 s", undefined],
    ["1d", undefined],
    ["+5s", undefined],
    ["1e3s", undefined],
  ];
  for (const [text, expected] of cases) assert.equal(parseDurationMs(text), expected, text);
  for (const seconds of [0, 1, 59, 60, 90, 3600, 3661, 5400, 65535]) {
    assert.equal(parseDurationMs(formatDuration(seconds)), seconds * 1000);
  }
});

test("a configuration file stands alone only where there is no cluster and no word about one", () => {
  const kinds = (flags: Record<string, string>, inCluster: boolean) => {
    const given = new Map(Object.entries({ config: "bgp.yaml", ...flags }));
    const configured = configure(given, { ...HERE, inCluster });
    return configured.ok ? configured.value.nodes.kind : configured.problems;
  };
  assert.equal(kinds({}, false), "none");
  assert.equal(kinds({}, true), "api");
  assert.equal(kinds({ kubeconfig: "/k" }, false), "api");
  assert.equal(kinds({ "nodes-file": "nodes.yaml" }, false), "file");
});

test("the CNI configuration's path: flag, then environment, then kube-router's", () => {
  const pathOf = (given: Readonly<Record<string, string>>, cniConfFile?: string) => {
    const configured = configure(new Map(Object.entries(given)), { ...HERE, cniConfFile });
    return configured.ok ? configured.value.pods.confFile : configured.problems;
  };
  assert.equal(pathOf({}, "/a.conflist"), "/a.conflist");
  assert.equal(pathOf({}, ""), "/etc/cni/net.d/10-kuberouter.conflist");
  assert.equal(pathOf({ "cni-conf-file": "/b.conflist" }, "/a.conflist"), "/b.conflist");
  assert.deepEqual(pathOf({}, "/etc/cni/net.d/10-kuberouter.conf"), [
    "KUBE_ROUTER_CNI_CONF_FILE=/etc/cni/net.d/10-kuberouter.conf: " +
      "expected a path that ends in .conflist",
  ]);
  assert.deepEqual(pathOf({ "cni-conf-file": "/x.json" }), [
    "--cni-conf-file=/x.json: expected a path that ends in .conflist",
  ]);
});

test("the own plugin is told where socket and leases are, which takes absolute paths", () => {
  const own = (flags: Readonly<Record<string, string>>) => {
    const given = new Map(Object.entries({ "cni-plugin": "podrouter", ...flags }));
    const result = configure(given, { nodeName: "node1", hostName: "", inCluster: true });
    return result.ok ? result.value.pods.own : result.problems;
  };
  assert.deepEqual(own({}), {
    socket: "/run/podrouter/cni.sock",
    leases: "/var/lib/podrouter/pod-leases.json",
  });
  assert.deepEqual(own({ "cni-socket": "/x/y.sock", "state-dir": "/x" }), {
    socket: "/x/y.sock",
    leases: "/x/pod-leases.json",
  });
  assert.deepEqual(own({ "cni-socket": "y.sock", "state-dir": "state" }), [
    "--cni-socket=y.sock: expected an absolute path with --cni-plugin=podrouter",
    "--state-dir=state: expected an absolute path with --cni-plugin=podrouter",
  ]);
  assert.equal(own({ "cni-plugin": "bridge", "state-dir": "state" }), undefined);
});

test("wrong values about pods are named", () => {
  assert.deepEqual(problemsOf({ "masquerade-exclude": "10.0.0.1/8", "cni-plugin": "calico" }), [
    "--cni-plugin=calico: expected bridge or ptp or podrouter",
    '--masquerade-exclude: "10.0.0.1/8" is no prefix such as 10.0.0.0/8, without host bits',
  ]);
});

test("of a list the entries that are wrong are named, and not those around them", () => {
  const good = Array.from({ length: 100 }, (_, i) => `10.${i}.0.0/16`);
  assert.deepEqual(problemsOf({ "masquerade-exclude": [...good, "x", "fd00::/8", ""].join() }), [
    '--masquerade-exclude: "x" is no prefix such as 10.0.0.0/8, without host bits',
    '--masquerade-exclude: "" is no prefix such as 10.0.0.0/8, without host bits',
  ]);
  const [tooMany, ...others] = problemsOf({
    "masquerade-exclude": Array.from({ length: 257 }, () => "10.0.0.0/8").join(),
  });
  assert.match(tooMany!, /^--masquerade-exclude=10\.0\.0\.0.*…: expected at most 256 prefixes /);
  assert.deepEqual(others, []);
});

test("beside the machine's own network the CNI configuration must be named, or is nobody's", () => {
  const cni = (given: Readonly<Record<string, string>>, hostNetwork: boolean) => {
    const configured = configure(new Map(Object.entries(given)), { ...HERE, hostNetwork });
    return configured.ok && configured.value.pods.cni;
  };
  assert.equal(cni({}, true), true);
  assert.equal(cni({}, false), false);
  assert.equal(cni({ "cni-conf-file": "/x/a.conflist" }, false), true);
  assert.equal(cni({ "enable-cni": "false", "cni-conf-file": "/x/a.conflist" }, false), false);
});
