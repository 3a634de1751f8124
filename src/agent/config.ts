/**
 * From the texts of the command line and the environment to one validated, immutable
 * configuration of the agent. Pure: files that flags name are opened by the parts that use them.
 */
import { isAbsolute, join } from "node:path";
import { LEASES_FILE } from "../cni/plugin/wire.ts";
import type { PodNetworkOptions } from "../cni/pod-network.ts";
import { familyOf, type IpAddress, type IpFamily } from "../ip/address.ts";
import { withoutSecret } from "../k8s/problem.ts";
import type { OverlaySettings } from "../overlay/types.ts";
import { printable } from "../runtime/operator-text.ts";
import type { ExternalSettings } from "./external-peers.ts";
import { externalSettings } from "./external-settings.ts";
import type { Flag } from "./flag.ts";
import { nodeNameValue, pathValue, type RouterIdChoice } from "./flag-values.ts";
import { ABSENT_PARTS, RUN_FLAGS, type RunFlags } from "./flags.ts";
import { CNI_CONF_FILE_DEFAULT } from "./pod-network-flags.ts";

/** Where the Node objects come from. */
export type NodesFrom =
  | {
      readonly kind: "api";
      /** Undefined = the pod's service account. */
      readonly kubeconfig: string | undefined;
      readonly master: string | undefined;
    }
  | { readonly kind: "file"; readonly path: string }
  /** None: BGP by the configuration file alone. */
  | { readonly kind: "none" };

export interface ListenAt {
  /** Undefined = every address. */
  readonly address: IpAddress | undefined;
  readonly port: number;
}

export interface BgpSettings {
  readonly clusterAs: number;
  readonly port: number;
  readonly holdSeconds: number;
  readonly routerId: RouterIdChoice;
  /** Equal paths used together, where the configuration file does not say. */
  readonly maximumPaths: number;
  /** Undefined = graceful restart is off. */
  readonly restartSeconds: number | undefined;
  readonly deferralSeconds: number;
  readonly fullMesh: boolean;
  readonly nodePeers: boolean;
  readonly advertisePodCidr: boolean;
  readonly overrideNextHop: boolean;
  readonly external: ExternalSettings;
}

export type LogLevel = "info" | "debug" | "trace";

export interface AgentConfig {
  readonly nodeName: string;
  readonly nodes: NodesFrom;
  /** The BGP configuration file. */
  readonly configFile: string | undefined;
  readonly stateDir: string;
  readonly adminSocket: string;
  readonly dryRun: boolean;
  /** Address families of Nodes that are used at all. */
  readonly families: readonly IpFamily[];
  readonly bgp: BgpSettings;
  readonly ipsetSyncSeconds: number;
  readonly routeSyncSeconds: number;
  /** Undefined = no such server. */
  readonly health: ListenAt | undefined;
  readonly metrics: (ListenAt & { readonly path: string }) | undefined;
  readonly log: { readonly level: LogLevel; readonly format: "json" | "text" };
  readonly parts: { readonly router: boolean };
  /** Undefined = off. */
  readonly overlay: OverlaySettings | undefined;
  readonly pods: PodSettings;
}

/** What is done for the pods of this node. */
export type PodSettings = Omit<PodNetworkOptions, "dryRun">;

/** What the configuration takes from the process's surroundings. */
export interface Surroundings {
  /** $NODE_NAME. */
  readonly nodeName: string | undefined;
  readonly hostName: string;
  /** $KUBERNETES_SERVICE_HOST is there: this is a pod, with a service account. */
  readonly inCluster: boolean;
  /** $KUBE_ROUTER_CNI_CONF_FILE. */
  readonly cniConfFile?: string | undefined;
  /** False in a network namespace made beside the machine's own, as for a second agent. */
  readonly hostNetwork?: boolean;
}

/** A configuration, or sentences that each name a flag, its value and what was expected. */
export type Configured<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly problems: readonly string[] };

/** The pages of http-pages.ts that a kubelet asks for. */
const PROBE_PATHS = ["/healthz", "/readyz"] as const;

/** Longest piece of a wrong value that is repeated in a message. */
const ECHO_MAX = 80;

/**
 * The configuration for flags given as texts by name (`bgp-port` → `1179`). Every wrong flag is
 * reported, not only the first.
 */
export function configure(
  given: ReadonlyMap<string, string>,
  surroundings: Surroundings,
): Configured<AgentConfig> {
  const problems: string[] = [];
  const { flags, wrong } = readFlags(given, problems);
  const nodeName = identify(flags.hostnameOverride, surroundings, problems);
  checkTogether(flags, problems);
  // Lists of which one cannot be read are not in step, which is no mistake of the others.
  const lists = ["peerRouterIps", "peerRouterAsns", "peerRouterPorts"] as const;
  const external = lists.some((list) => wrong.has(list))
    ? undefined
    : externalSettings(flags, problems);
  const confFile = cniConfFile(flags.cniConfFile, surroundings.cniConfFile, problems);
  const whole = nodeName !== undefined && external !== undefined && confFile !== undefined;
  if (!whole || problems.length > 0) return { ok: false, problems };
  const { inCluster } = surroundings;
  const cni = flags.enableCni && ownsCni(flags, surroundings);
  return { ok: true, value: agentConfig(flags, { nodeName, inCluster, external, confFile, cni }) };
}

/** All flags; in the place of a wrong one stands its default, so that the others can be checked. */
function readFlags(
  given: ReadonlyMap<string, string>,
  problems: string[],
): { readonly flags: RunFlags; readonly wrong: ReadonlySet<string> } {
  const values: Record<string, unknown> = {};
  const wrong = new Set<string>();
  for (const [key, flag] of Object.entries<Flag<unknown>>(RUN_FLAGS)) {
    const text = given.get(flag.name) ?? flag.default;
    const value = flag.value.parse(text);
    values[key] = value ?? flag.value.parse(flag.default);
    if (value !== undefined) continue;
    const entries = flag.value.wrongEntries?.(text) ?? [];
    if (entries.length === 0) {
      const shown = flag.secret === true ? "…" : text;
      problems.push(expectedSentence(flag.name, shown, flag.value.expects));
    }
    problems.push(...entries.map((said) => `--${flag.name}: ${said}`));
    wrong.add(key);
  }
  for (const [name, what] of Object.entries(ABSENT_PARTS)) {
    const text = given.get(name);
    const value = text === undefined ? false : RUN_FLAGS.runRouter.value.parse(text);
    if (value === undefined) problems.push(expectedSentence(name, text!, "false"));
    else if (value) problems.push(`--${name}=true: podrouter has no part for ${what}`);
  }
  // Each key was filled by the parser of its own flag, which is what the mapped type says.
  return { flags: values as unknown as RunFlags, wrong };
}

/** `--bgp-port=0: expected a whole number from 1 to 65535`. */
export function expectedSentence(name: string, text: string, expects: string): string {
  const dashes = name.length === 1 ? "-" : "--";
  return `${dashes}${name}=${echo(text)}: expected ${expects}`;
}

/** A wrong text fit for a message: bounded, printable, without passwords. */
export function echo(text: string): string {
  const shown = withoutSecret(text);
  const plain = printable(shown.slice(0, ECHO_MAX));
  return shown.length > ECHO_MAX ? `${plain}…` : plain;
}

/** kube-router's order: flag, environment, host name. */
function identify(
  override: string,
  surroundings: Surroundings,
  problems: string[],
): string | undefined {
  if (override !== "") return override;
  const fromEnvironment = surroundings.nodeName ?? "";
  const [source, name] =
    fromEnvironment === ""
      ? ["the host name", surroundings.hostName.toLowerCase()]
      : ["NODE_NAME", fromEnvironment];
  if (name !== "" && nodeNameValue.parse(name) !== undefined) return name;
  problems.push(
    `${source} is ${JSON.stringify(echo(name))}: expected ${nodeNameValue.expects}; ` +
      "--hostname-override gives another",
  );
  return undefined;
}

function checkTogether(flags: RunFlags, problems: string[]): void {
  if (flags.nodesFile !== "" && (flags.kubeconfig !== "" || flags.master !== "")) {
    problems.push(
      "--nodes-file: expected alone, without --kubeconfig and --master: " +
        "the Nodes come either from a file or from an API server",
    );
  }
  // Both stand in the CNI configuration, for a program that runs in another folder.
  for (const [name, path] of [
    ["--cni-socket", flags.cniSocket],
    ["--state-dir", flags.stateDir],
  ] as const) {
    if (flags.cniPlugin !== "podrouter" || isAbsolute(path)) continue;
    problems.push(`${name}=${echo(path)}: expected an absolute path with --cni-plugin=podrouter`);
  }
  if (!flags.enableIpv4 && !flags.enableIpv6) {
    problems.push("--enable-ipv4=false: expected --enable-ipv6=true then: one family must be on");
  }
  checkPages(flags, problems);
}

/**
 * Where one server would take the other's place the probes suffer: a kubelet that finds no /healthz
 * ends the agent again and again, and a page of figures at /readyz always says ready.
 */
function checkPages(flags: RunFlags, problems: string[]): void {
  const { healthAddr, healthPort, metricsAddr, metricsPort, metricsPath } = flags;
  if (metricsPort === 0 || metricsPort !== healthPort) return;
  if (metricsAddr === healthAddr) {
    if (!PROBE_PATHS.some((path) => path === metricsPath)) return;
    problems.push(
      `--metrics-path=${metricsPath}: expected another path, or another --metrics-port: ` +
        "on this one it is a probe's",
    );
  } else if (listensFor(metricsAddr, healthAddr) || listensFor(healthAddr, metricsAddr)) {
    problems.push(
      `--metrics-port=${metricsPort}: expected another one than --health-port, or --metrics-addr ` +
        "and --health-addr to be the same: one of the two takes the port of the other's as well",
    );
  }
}

/** Whether who listens on `wide` has the port of `other` too; Linux gives `::` both families. */
function listensFor(wide: IpAddress | "all", other: IpAddress | "all"): boolean {
  if (wide === "all" || wide === "::") return true;
  return wide === "0.0.0.0" && other !== "all" && familyOf(other) === 4;
}

/** kube-router's order: environment, default; and a flag before both. Empty = not given. */
export function cniConfFile(
  fromFlag: string,
  fromEnvironment: string | undefined,
  problems: string[],
): string | undefined {
  const [source, path] =
    fromFlag !== ""
      ? ["--cni-conf-file", fromFlag]
      : ["KUBE_ROUTER_CNI_CONF_FILE", fromEnvironment || CNI_CONF_FILE_DEFAULT];
  // A runtime reads a list of plugins only from a file of that name.
  if (pathValue().parse(path) !== undefined && path.endsWith(".conflist")) return path;
  problems.push(`${source}=${echo(path)}: expected a path that ends in .conflist`);
  return undefined;
}

/**
 * The file at the default path is the machine's: its runtime reads it. An agent in a network
 * namespace beside the machine's own has another one, or none, so that two agents on one machine
 * never write the same.
 */
function ownsCni(flags: RunFlags, { hostNetwork, cniConfFile }: Surroundings): boolean {
  return (hostNetwork ?? true) || flags.cniConfFile !== "" || (cniConfFile ?? "") !== "";
}

function agentConfig(
  flags: RunFlags,
  found: {
    readonly nodeName: string;
    readonly inCluster: boolean;
    readonly external: ExternalSettings;
    readonly confFile: string;
    readonly cni: boolean;
  },
): AgentConfig {
  const { nodeName, inCluster, external, confFile, cni } = found;
  const families: IpFamily[] = [];
  if (flags.enableIpv4) families.push(4);
  if (flags.enableIpv6) families.push(6);
  const metrics = listenAt(flags.metricsAddr, flags.metricsPort);
  return {
    nodeName,
    nodes: nodesFrom(flags, inCluster),
    configFile: flags.config === "" ? undefined : flags.config,
    stateDir: flags.stateDir,
    adminSocket: flags.adminSocket,
    dryRun: flags.dryRun,
    families,
    bgp: bgpSettings(flags, external),
    ipsetSyncSeconds: flags.routesSyncPeriod,
    routeSyncSeconds: flags.injectedRoutesSyncPeriod,
    health: listenAt(flags.healthAddr, flags.healthPort),
    metrics: metrics === undefined ? undefined : { ...metrics, path: flags.metricsPath },
    log: { level: logLevel(flags.verbosity), format: flags.logFormat },
    parts: { router: flags.runRouter },
    overlay: overlaySettings(flags),
    pods: {
      cni,
      plugin: flags.cniPlugin,
      own:
        flags.cniPlugin === "podrouter"
          ? { socket: flags.cniSocket, leases: join(flags.stateDir, LEASES_FILE) }
          : undefined,
      confFile,
      binFolder: flags.cniBinDir,
      autoMtu: flags.autoMtu,
      egress: flags.enablePodEgress,
      exclude: flags.masqueradeExclude,
    },
  };
}

/** Without a cluster, and without a word about one, a configuration file stands by itself. */
function nodesFrom(flags: RunFlags, inCluster: boolean): NodesFrom {
  if (flags.nodesFile !== "") return { kind: "file", path: flags.nodesFile };
  const kubeconfig = flags.kubeconfig === "" ? undefined : flags.kubeconfig;
  const master = flags.master === "" ? undefined : flags.master;
  const silent = kubeconfig === undefined && master === undefined && !inCluster;
  if (flags.config !== "" && silent) return { kind: "none" };
  return { kind: "api", kubeconfig, master };
}

function bgpSettings(flags: RunFlags, external: ExternalSettings): BgpSettings {
  return {
    external,
    clusterAs: flags.clusterAsn,
    port: flags.bgpPort,
    holdSeconds: flags.bgpHoldtime,
    routerId: flags.routerId,
    maximumPaths: flags.maximumPaths,
    restartSeconds: flags.bgpGracefulRestart ? flags.bgpGracefulRestartTime : undefined,
    deferralSeconds: flags.bgpGracefulRestartDeferralTime,
    fullMesh: flags.nodesFullMesh,
    nodePeers: flags.enableIbgp,
    advertisePodCidr: flags.advertisePodCidr,
    overrideNextHop: flags.overrideNexthop,
  };
}

function overlaySettings(flags: RunFlags): OverlaySettings | undefined {
  if (!flags.enableOverlay) return undefined;
  const { overlayType: type, overlayEncap: encap, overlayEncapPort: port, overlayVni: vni } = flags;
  return { type, encap, port, vni };
}

function listenAt(address: IpAddress | "all", port: number): ListenAt | undefined {
  return port === 0 ? undefined : { address: address === "all" ? undefined : address, port };
}

function logLevel(verbosity: number): LogLevel {
  return verbosity >= 4 ? "trace" : verbosity >= 2 ? "debug" : "info";
}
