/**
 * The flags of `podrouter run`, as one table: name, group, kind of value, default, help. The
 * command line and its `--help` are made from it, and so is the typed configuration. Names and
 * meanings are kube-router's where it has the flag; a default that differs says so in its help.
 */
import { NEXT_HOPS_MAX } from "../routes/limits.ts";
import { type Flag, flag } from "./flag.ts";
import {
  booleanValue,
  CLUSTER_ASN_DEFAULT,
  choiceValue,
  clusterAsnValue,
  integerValue,
  listenAddressValue,
  listValue,
  nodeNameValue,
  pathValue,
  routerIdValue,
  secondsValue,
  socketPathValue,
  textValue,
  urlPathValue,
  urlValue,
} from "./flag-values.ts";
import { OVERLAY_FLAGS } from "./overlay-flags.ts";
import { POD_NETWORK_FLAGS } from "./pod-network-flags.ts";

export type { Flag } from "./flag.ts";

export const ADMIN_SOCKET_DEFAULT = "/run/podrouter/podrouter.sock";
/** A hold time is two octets, and 1 and 2 are not allowed: RFC 4271 §4.2. */
const HOLD_SECONDS_MAX = 65535;
/** The restart time has 12 bits: RFC 4724 §3. */
const RESTART_SECONDS_MAX = 4095;
const DEFERRAL_SECONDS_MAX = 18 * 3600;
const SYNC_SECONDS_MAX = 24 * 3600;

const identity = "Who this node is, and where the Nodes come from:";
const bgp = "BGP:";
const mesh = "Between nodes:";
const outside = "Peers outside the cluster:";
const kernel = "What is kept in the kernel:";
const serve = "What the agent serves:";
const logging = "Log:";
const parts = "Parts, by kube-router's names:";

/** A list that kube-router, too, takes in pieces: one flag for each router. */
function routerList(name: string, help: string): Flag<readonly string[]> {
  const text = `${help}; may be given several times`;
  return { ...flag(name, outside, listValue, "", text), repeatable: true };
}

export const RUN_FLAGS = {
  hostnameOverride: flag(
    "hostname-override",
    identity,
    nodeNameValue,
    "",
    "name of this machine's Node object; otherwise $NODE_NAME, otherwise the host name",
  ),
  kubeconfig: flag(
    "kubeconfig",
    identity,
    textValue("path"),
    "",
    "how to reach the API server; otherwise the pod's service account",
  ),
  master: flag(
    "master",
    identity,
    urlValue,
    "",
    "URL of the API server, in place of the one in the kubeconfig",
  ),
  nodesFile: flag(
    "nodes-file",
    identity,
    textValue("path"),
    "",
    "take the Nodes from this file, in the form of `kubectl get nodes -o yaml`, " +
      "instead of an API server, and follow its changes",
  ),
  stateDir: flag(
    "state-dir",
    identity,
    pathValue(),
    "/var/lib/podrouter",
    "what must outlive the process, such as the Nodes last seen; made if missing",
  ),
  clusterAsn: flag(
    "cluster-asn",
    bgp,
    clusterAsnValue,
    String(CLUSTER_ASN_DEFAULT),
    "AS number of all nodes",
  ),
  bgpPort: flag(
    "bgp-port",
    bgp,
    integerValue(1, 65535),
    "179",
    "port to listen on, and the port of the other nodes",
  ),
  bgpHoldtime: flag(
    "bgp-holdtime",
    bgp,
    secondsValue(3, HOLD_SECONDS_MAX, "no keepalives at all"),
    "90s",
    "hold time offered to every peer, other nodes too",
  ),
  routerId: flag(
    "router-id",
    bgp,
    routerIdValue,
    "",
    "BGP identifier; otherwise the node's IPv4 address. `generate` takes a hash of the node's " +
      "address (FNV-1a, 32 bits), which a node without any IPv4 address does by itself; should " +
      "two such nodes have the same, which their session then says, give one of them another",
  ),
  maximumPaths: flag(
    "maximum-paths",
    bgp,
    integerValue(1, NEXT_HOPS_MAX),
    "1",
    "equal paths that share one multipath route in the kernel, as FRR's maximum-paths and " +
      "maximum-paths ibgp; AS paths of the same length are equal. `global.maximumPaths` of the " +
      "configuration file goes before it",
  ),
  bgpGracefulRestart: flag(
    "bgp-graceful-restart",
    bgp,
    booleanValue,
    "true",
    "let peers keep our routes while the agent restarts (kube-router's default is false)",
  ),
  bgpGracefulRestartTime: flag(
    "bgp-graceful-restart-time",
    bgp,
    secondsValue(1, RESTART_SECONDS_MAX),
    "90s",
    "how long they keep them",
  ),
  bgpGracefulRestartDeferralTime: flag(
    "bgp-graceful-restart-deferral-time",
    bgp,
    secondsValue(1, DEFERRAL_SECONDS_MAX),
    "10s",
    "after a restart, the longest wait for the peers' End-of-RIB before announcing and before " +
      "removing what is stale (kube-router's default is 6m0s)",
  ),
  nodesFullMesh: flag(
    "nodes-full-mesh",
    mesh,
    booleanValue,
    "true",
    "peer with every other Node; false: only with Nodes that have the same " +
      "kube-router.io/node.asn annotation as this one",
  ),
  enableIbgp: flag("enable-ibgp", mesh, booleanValue, "true", "peer with other Nodes at all"),
  advertisePodCidr: flag(
    "advertise-pod-cidr",
    mesh,
    booleanValue,
    "true",
    "announce the pod CIDRs to peers outside the cluster; other Nodes always get them",
  ),
  overrideNexthop: flag(
    "override-nexthop",
    mesh,
    booleanValue,
    "false",
    "announce this node as next hop to peers outside the cluster; never between Nodes",
  ),
  peerRouterIps: routerList(
    "peer-router-ips",
    "addresses of peers outside the cluster, comma separated; every node peers with them, and " +
      "the Node's kube-router.io/peers annotation is then not looked at",
  ),
  peerRouterAsns: routerList("peer-router-asns", "their AS numbers, in step"),
  peerRouterPorts: routerList("peer-router-ports", "their ports, in step; otherwise 179"),
  peerRouterPasswordsFile: {
    ...flag(
      "peer-router-passwords-file",
      outside,
      textValue("path"),
      "",
      "file with their TCP MD5 passwords, base64, comma separated, in step; an empty entry = " +
        "none, an empty file is refused",
    ),
    secret: true,
  },
  peerRouterMultihopTtl: flag(
    "peer-router-multihop-ttl",
    outside,
    integerValue(0, 255),
    "0",
    "TTL of these sessions; takes effect from 2",
  ),
  config: flag(
    "config",
    outside,
    textValue("path"),
    "",
    "YAML file with peers, peer groups, policies and prefixes (docs/config.md); followed, and " +
      "read again on SIGHUP. Alone, without a cluster, it makes a BGP daemon",
  ),
  enableIpv4: flag("enable-ipv4", mesh, booleanValue, "true", "use the Nodes' IPv4 addresses"),
  enableIpv6: flag(
    "enable-ipv6",
    mesh,
    booleanValue,
    "true",
    "use the Nodes' IPv6 addresses, where they have any (kube-router's default is false)",
  ),
  routesSyncPeriod: flag(
    "routes-sync-period",
    kernel,
    secondsValue(1, SYNC_SECONDS_MAX),
    "5m0s",
    "how often the ipsets are compared with the kernel; Node events act at once besides",
  ),
  injectedRoutesSyncPeriod: flag(
    "injected-routes-sync-period",
    kernel,
    secondsValue(1, SYNC_SECONDS_MAX),
    "1m0s",
    "how often the routes are compared with the kernel; its changes act at once besides",
  ),
  dryRun: flag(
    "dry-run",
    kernel,
    booleanValue,
    "false",
    "speak BGP, compute and show everything, but change nothing in the kernel",
  ),
  adminSocket: flag(
    "admin-socket",
    serve,
    socketPathValue,
    ADMIN_SOCKET_DEFAULT,
    "Unix socket for `podrouter peers` and its like; only root can open it",
  ),
  healthAddr: flag(
    "health-addr",
    serve,
    listenAddressValue,
    "",
    "address of /healthz and /readyz; otherwise all",
  ),
  healthPort: flag(
    "health-port",
    serve,
    integerValue(0, 65535),
    "20244",
    "port of /healthz and /readyz; 0 = none",
  ),
  metricsAddr: flag(
    "metrics-addr",
    serve,
    listenAddressValue,
    "",
    "address of the metrics page; otherwise all",
  ),
  metricsPort: flag(
    "metrics-port",
    serve,
    integerValue(0, 65535),
    "0",
    "port of the metrics page; 0 = none; that of the probes only at the same address",
  ),
  metricsPath: flag("metrics-path", serve, urlPathValue, "/metrics", "its path"),
  verbosity: flag(
    "v",
    logging,
    integerValue(0, 99),
    "0",
    "0 or 1: what an operator cares for; 2 or 3: debug; 4 and above: every prefix",
  ),
  logFormat: flag(
    "log-format",
    logging,
    choiceValue(["json", "text"]),
    "json",
    "one JSON object a line, or text to read; always on standard error",
  ),
  runRouter: flag(
    "run-router",
    parts,
    booleanValue,
    "true",
    "route pods; false leaves nothing to do, and the agent ends at once",
  ),
  ...POD_NETWORK_FLAGS,
  ...OVERLAY_FLAGS,
} as const satisfies Readonly<Record<string, Flag<unknown>>>;

/** The values of all flags, by the keys of the table. */
export type RunFlags = {
  readonly [K in keyof typeof RUN_FLAGS]: (typeof RUN_FLAGS)[K] extends Flag<infer T> ? T : never;
};

/**
 * kube-router's flags for parts that podrouter does not have, all booleans. `false` is accepted, so
 * that a routing-only manifest of kube-router works as it stands; `true` is refused, because a
 * cluster whose NetworkPolicies or Services silently stop working is worse than an agent
 * that says so.
 */
export const ABSENT_PARTS: Readonly<Record<string, string>> = {
  "run-firewall": "NetworkPolicies",
  "run-service-proxy": "the service proxy",
  "run-loadbalancer": "the load balancer address allocator",
  "advertise-cluster-ip": "announcing service addresses",
  "advertise-external-ip": "announcing service addresses",
  "advertise-loadbalancer-ip": "announcing service addresses",
  "disable-source-dest-check": "the AWS source/destination check",
  "enable-bfd": "BFD",
  "enable-pprof": "Go profiling",
};

/** Prefixes and names of other kube-router flags, with what to say when one of them is given. */
export const FOREIGN_FLAGS: readonly { readonly pattern: RegExp; readonly reason: string }[] = [
  {
    pattern: /pas+wo?r?ds?$/,
    reason: "passwords do not belong on a command line; use --peer-router-passwords-file",
  },
  { pattern: /^gobgp-admin-/, reason: "use `podrouter peers` and `podrouter rib` instead" },
  { pattern: /^bfd-/, reason: "podrouter has no BFD" },
  {
    pattern: /^cache-sync-timeout$/,
    reason: "Nodes that cannot be read are a condition, not an end",
  },
  {
    pattern: /^cleanup-config$/,
    reason: "`podrouter cleanup` is a command of its own",
  },
  {
    pattern:
      /^(ipt|ipvs|nodeport|masquerade-a|hairpin|service|loadbalancer|strict-|excluded-|runtime-)/,
    reason: "it belongs to kube-router's service proxy and firewall, which podrouter does not have",
  },
];
