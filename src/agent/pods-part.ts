/**
 * The pods' side of the agent: tells the pod network what follows from the own Node, and when this
 * node routes, which is what a new CNI configuration waits for. That is asked until it has been so
 * once: an agent that starts again, or a peer that goes, takes nothing away from pods.
 */
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
import type { AgentConfig } from "./config.ts";

export class PodsPart {
  readonly #network: PodNetwork;
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
    this.#notYet = notYet;
  }

  start(): void {
    this.#network.start();
  }

  /** Bridge, rules and configuration stay. */
  stop(): Promise<void> {
    return this.#network.stop();
  }

  /** Without an own Node that says anything all stays as it is: its pods may still be running. */
  update({ self, podSubnets }: Pick<Topology, "self" | "podSubnets">): void {
    this.#podSubnets = podSubnets;
    if (self === undefined || (self.podCidrs.length === 0 && self.primaryAddress === undefined)) {
      return;
    }
    const { podCidrs } = self;
    this.#wanted = {
      podCidrs,
      nodeIps: nodeIps(self),
      overheadBytes: 0,
      isOthers: (address) =>
        this.#podSubnets.some((one) => prefixContains(one, address) && !podCidrs.includes(one)),
    };
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
    return this.#network.conditions();
  }

  notReady(): string | undefined {
    return this.#network.notReady();
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

/** One a family, the primary one first. */
function nodeIps({ primaryAddress, nodeIps }: SelfNode): readonly IpAddress[] {
  const all = [primaryAddress, nodeIps[4], nodeIps[6]];
  return [...new Set(all.filter((address) => address !== undefined))];
}
