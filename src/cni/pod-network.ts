/**
 * The node's side of the pod network, in one piece for the agent: links and settings, packet rules
 * and the CNI configuration, each kept by its own keeper. What one finds out the others need: the
 * links give the MTU and the name of the node's interface, and say when pods can be connected.
 *
 * With `cni` off, somebody else connects the pods: then only the masquerading is left, if wanted.
 */
import { isDeepStrictEqual } from "node:util";
import { familyOf, type IpAddress, type IpFamily } from "../ip/address.ts";
import { type Prefix, prefixFamily } from "../ip/prefix.ts";
import type { Clock, Random } from "../runtime/clock.ts";
import type { Log } from "../runtime/log.ts";
import type { OwnPluginPaths } from "./conflist.ts";
import { conflistDisk } from "./conflist-disk.ts";
import { ConflistFile, type ConflistFiles } from "./conflist-file.ts";
import { chooseIptables } from "./iptables.ts";
import { NetlinkLinks } from "./netlink-links.ts";
import { NftGeneration } from "./nft-generation.ts";
import { type LinkKernel, PodLinks } from "./pod-links.ts";
import { type ChoosePacketFilter, PodRules } from "./pod-rules.ts";
import { procSysctls } from "./proc-sysctls.ts";
import { runProgram } from "./run-program.ts";
import type { Sysctls } from "./sysctls.ts";
import { type CniCondition, type CniPluginChoice, kindOf } from "./types.ts";

export interface PodNetworkOptions {
  /** Whether we connect the pods. */
  readonly cni: boolean;
  readonly plugin: CniPluginChoice;
  /** Where our own plugin finds the agent; needed where it is the one. */
  readonly own?: OwnPluginPaths | undefined;
  readonly confFile: string;
  readonly binFolder: string;
  /** Whether pods get the MTU of the node's interface; otherwise whatever the file says. */
  readonly autoMtu: boolean;
  /** Whether what pods send out of the cluster is masqueraded. */
  readonly egress: boolean;
  /** Destinations to which it is not. */
  readonly exclude: readonly Prefix[];
  readonly dryRun: boolean;
}

export interface PodNetworkWanted {
  /** Of this node, in the order of the Node. */
  readonly podCidrs: readonly Prefix[];
  /** Of this node, one a family, the primary one first. */
  readonly nodeIps: readonly IpAddress[];
  /** Bytes that tunnels take from each packet. */
  readonly overheadBytes: number;
  /** Whether an address is in the pod CIDR of another Node. */
  readonly isOthers: (address: IpAddress) => boolean;
  /** Why the node does not route yet; undefined when it does. */
  readonly notYet: string | undefined;
}

/** The world outside; {@link systemPorts} is the real one. */
export interface PodNetworkPorts {
  readonly links: LinkKernel;
  readonly sysctls: Sysctls;
  readonly files: ConflistFiles;
  readonly choosePacketFilter: ChoosePacketFilter;
  close(): void;
}

export interface PodNetworkDeps {
  readonly ports: PodNetworkPorts;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

/** The machine that this process runs on, in the network namespace that it is in. */
export function systemPorts(): PodNetworkPorts {
  const generation = new NftGeneration();
  return {
    links: new NetlinkLinks(),
    sysctls: procSysctls,
    files: conflistDisk,
    choosePacketFilter: () =>
      chooseIptables({ run: runProgram, nftGeneration: () => generation.read() }),
    close: () => generation.close(),
  };
}

export class PodNetwork {
  readonly #options: PodNetworkOptions;
  readonly #ports: PodNetworkPorts;
  readonly #links: PodLinks;
  readonly #rules: PodRules;
  readonly #file: ConflistFile;
  #wanted: PodNetworkWanted | undefined;
  /** What the keepers were told last. */
  #told: readonly unknown[] = [];

  constructor(options: PodNetworkOptions, deps: PodNetworkDeps) {
    const { ports } = deps;
    const { dryRun, confFile: path, binFolder, plugin: kind, own } = options;
    this.#options = options;
    this.#ports = ports;
    this.#links = new PodLinks(
      { dryRun },
      { ...deps, kernel: ports.links, sysctls: ports.sysctls, onChanged: () => this.#tell() },
    );
    this.#rules = new PodRules({ dryRun }, { ...deps, choose: ports.choosePacketFilter });
    this.#file = new ConflistFile(
      { path, binFolder, kind, own, dryRun },
      { ...deps, files: ports.files, onChanged: () => this.#tell() },
    );
  }

  start(): void {
    if (this.#options.cni) {
      this.#links.start();
      this.#file.start();
    }
    this.#rules.start();
  }

  /** Everything stays as it is: pods go on talking without the agent. */
  async stop(): Promise<void> {
    await Promise.all([this.#links.stop(), this.#rules.stop(), this.#file.stop()]);
    this.#ports.close();
  }

  want(wanted: PodNetworkWanted): void {
    this.#wanted = wanted;
    this.#tell();
  }

  conditions(): readonly CniCondition[] {
    return this.#keepers().flatMap((keeper) => keeper.conditions());
  }

  /** What a dry run holds back. */
  planned(): readonly string[] {
    return [
      ...this.#links.planned().map((line) => `ip ${line}`),
      ...this.#rules.planned(),
      ...this.#file.planned(),
    ];
  }

  /** Why pods cannot be made, or do not get out; undefined when they can and do. */
  notReady(): string | undefined {
    const { cni } = this.#options;
    if (cni && this.#wanted?.podCidrs.length === 0)
      return "this Node has no pod CIDR of its own yet";
    return this.conditions().find(({ severity }) => severity === "error")?.message;
  }

  /** Why kube-bridge is left alone, where it is somebody else's bridge. */
  get foreignBridge(): string | undefined {
    return this.#links.state().foreign;
  }

  /** How often foreign changes of packet rules were put right. */
  get ruleRepairs(): number {
    return this.#rules.repairs;
  }

  #keepers() {
    const { cni } = this.#options;
    return cni ? [this.#links, this.#rules, this.#file] : [this.#rules];
  }

  #tell(): void {
    const wanted = this.#wanted;
    if (wanted === undefined) return;
    const { podCidrs, nodeIps, overheadBytes, isOthers } = wanted;
    const { cni, plugin, autoMtu, egress, exclude } = this.#options;
    const state = this.#links.state();
    const taken = state.former.filter(isOthers);
    const { gateways } = this.#file;
    const families = [...new Set([...nodeIps.map(familyOf), ...podCidrs.map(prefixFamily)])];
    const orders = [
      { kind: kindOf(plugin), nodeIps, podCidrs, autoMtu, overheadBytes, gateways, taken },
      {
        pods: cni ? kindOf(plugin) : undefined,
        nodeLink: state.nodeLink,
        egress,
        exclude,
        families: families.sort() as readonly IpFamily[],
      },
      {
        podCidrs,
        mtu: state.mtu,
        notYet: wanted.notYet ?? (state.ready ? undefined : "pods cannot be connected yet"),
      },
    ] as const;
    const [links, rules, file] = orders;
    if (!isDeepStrictEqual(links, this.#told[0])) this.#links.want(links);
    if (!isDeepStrictEqual(rules, this.#told[1])) this.#rules.want(rules);
    if (!isDeepStrictEqual(file, this.#told[2])) this.#file.want(file);
    this.#told = orders;
  }
}
