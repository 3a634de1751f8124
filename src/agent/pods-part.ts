/**
 * The pods' side of the agent: tells the pod network what follows from the own Node, and when this
 * node routes, which is what a new CNI configuration waits for. That is asked until it has been so
 * once: an agent that starts again, or a peer that goes, takes nothing away from pods.
 */
import type { OwnPluginPaths } from "../cni/conflist.ts";
import { hostLocalLeases, leaseFile } from "../cni/plugin/lease-disk.ts";
import { LEASES_RETRY_MS } from "../cni/plugin/limits.ts";
import { NetlinkWiring } from "../cni/plugin/netlink-wiring.ts";
import { PodPlugin } from "../cni/plugin/pod-plugin.ts";
import {
  PodNetwork,
  type PodNetworkDeps,
  type PodNetworkWanted,
  systemPorts,
} from "../cni/pod-network.ts";
import type { CniCondition } from "../cni/types.ts";
import type { IpAddress } from "../ip/address.ts";
import { type Prefix, prefixContains } from "../ip/prefix.ts";
import type { SelfNode, Topology } from "../k8s/topology.ts";
import type { Log } from "../runtime/log.ts";
import { PassLoop } from "../runtime/pass-loop.ts";
import { hasSysAdmin } from "./capabilities.ts";
import { CniSocket } from "./cni-socket.ts";
import type { AgentConfig } from "./config.ts";

/** Else each pod would be the first to hear of it, on a node that says it is ready for pods. */
const NOT_ALLOWED_IN: CniCondition = {
  name: "capability",
  severity: "error",
  message: "CAP_SYS_ADMIN is missing: podrouter-cni can connect no pod (deploy/own-plugin)",
};

export class PodsPart {
  readonly #network: PodNetwork;
  /** Undefined = the pods are made by other plugins. */
  readonly #own: OwnPlugin | undefined;
  /** Why this node does not route yet. */
  readonly #notYet: () => string | undefined;
  #wanted: Omit<PodNetworkWanted, "notYet"> | undefined;
  #podSubnets: readonly Prefix[] = [];
  #routes = false;

  constructor(
    config: Pick<AgentConfig, "pods" | "dryRun">,
    deps: Omit<PodNetworkDeps, "ports">,
    notYet: () => string | undefined,
  ) {
    const { pods, dryRun } = config;
    this.#network = new PodNetwork({ ...pods, dryRun }, { ...deps, ports: systemPorts() });
    const { own } = pods;
    if (pods.cni && !dryRun && own !== undefined) {
      this.#own = new OwnPlugin(own, deps, () => this.#network.foreignBridge);
    }
    this.#notYet = notYet;
  }

  /** @throws {Error} one sentence, when the socket of the own plugin cannot be made. */
  async start(): Promise<void> {
    await this.#own?.start();
    this.#network.start();
  }

  /** Bridge, rules and configuration stay. */
  async stop(): Promise<void> {
    await Promise.all([this.#own?.stop(), this.#network.stop()]);
  }

  /** Without an own Node that says anything all stays as it is: its pods may still be running. */
  update({ self, podSubnets }: Pick<Topology, "self" | "podSubnets">, overheadBytes = 0): void {
    this.#podSubnets = podSubnets;
    if (self === undefined || (self.podCidrs.length === 0 && self.primaryAddress === undefined)) {
      return;
    }
    const { podCidrs } = self;
    this.#wanted = {
      podCidrs,
      nodeIps: nodeIps(self),
      overheadBytes,
      isOthers: (address) =>
        this.#podSubnets.some((one) => prefixContains(one, address) && !podCidrs.includes(one)),
    };
    this.#own?.plugin.setRanges(podCidrs);
    this.refresh();
  }

  /** To be called now and then: nobody says when the node has begun to route. */
  refresh(): void {
    if (this.#wanted === undefined) return;
    const notYet = this.#routes ? undefined : this.#notYet();
    this.#routes = notYet === undefined;
    this.#network.want({ ...this.#wanted, notYet });
  }

  conditions(): readonly CniCondition[] {
    return [...this.#network.conditions(), ...(this.#own?.conditions() ?? [])];
  }

  notReady(): string | undefined {
    const own = this.#own?.conditions().find(({ severity }) => severity === "error");
    return this.#network.notReady() ?? own?.message;
  }

  /** What a dry run holds back. */
  planned(): readonly string[] {
    return this.#network.planned();
  }

  /** How often packet rules that others had changed were put right. */
  get ruleRepairs(): number {
    return this.#network.ruleRepairs;
  }
}

/** The agent's half of podrouter-cni, with the socket on which it is asked. */
class OwnPlugin {
  readonly plugin: PodPlugin;
  readonly #socket: CniSocket;
  readonly #path: string;
  readonly #log: Log;
  readonly #loop: PassLoop;
  readonly #mayEnterPods = hasSysAdmin();

  constructor(
    { socket, leases }: OwnPluginPaths,
    { log, clock }: Pick<PodNetworkDeps, "log" | "clock">,
    foreignBridge: () => string | undefined,
  ) {
    const file = leaseFile(leases);
    this.plugin = new PodPlugin({
      wiring: new NetlinkWiring(),
      file,
      foreign: hostLocalLeases(),
      foreignBridge,
      log,
    });
    this.#socket = new CniSocket(this.plugin, { log, clock });
    this.#path = socket;
    this.#log = log;
    this.#loop = new PassLoop(clock, async () => {
      await this.plugin.tend();
      return LEASES_RETRY_MS;
    });
  }

  /** What is known of pods is looked at before the first call; when that fails now, again. */
  async start(): Promise<void> {
    await this.plugin.start().catch((error: unknown) => {
      this.#log.error({ err: error }, "leases of pods cannot be found out yet");
    });
    await this.#socket.start(this.#path);
    this.#loop.start();
  }

  conditions(): readonly CniCondition[] {
    const found = [...this.#socket.conditions(), ...this.plugin.conditions()];
    return this.#mayEnterPods ? found : [NOT_ALLOWED_IN, ...found];
  }

  async stop(): Promise<void> {
    await Promise.all([this.#loop.stop(), this.#socket.stop()]);
  }
}

/** One a family, the primary one first. */
function nodeIps({ primaryAddress, nodeIps }: SelfNode): readonly IpAddress[] {
  const all = [primaryAddress, nodeIps[4], nodeIps[6]];
  return [...new Set(all.filter((address) => address !== undefined))];
}
