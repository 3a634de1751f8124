/**
 * The tunnels' side of the agent: which Nodes there are to reach, and what the routes, the pods,
 * the conditions and `podrouter status` are told of it.
 */
import { FAMILIES } from "../ip/address.ts";
import type { PeerNode, Topology } from "../k8s/topology.ts";
import type { TopologyChange } from "../k8s/topology-step.ts";
import { OverlayController, type OverlayDeps, type OverlayStatus } from "../overlay/controller.ts";
import type { OverlayProblem } from "../overlay/desired.ts";
import { deviceKind } from "../overlay/names.ts";
import { NetlinkOverlay } from "../overlay/netlink-overlay.ts";
import { type OverlayKernel, OverlayKernelError } from "../overlay/ports.ts";
import type { RemoteChange } from "../overlay/remote-nodes.ts";
import type { FamilyAddresses, OverlaySettings, OverlayWanted } from "../overlay/types.ts";
import type { Tunnels } from "../routes/ports.ts";
import type { AgentConfig } from "./config.ts";
import type { Known } from "./sets-first.ts";

/** This kernel cannot do what was asked for. */
export class OverlayUnsupportedError extends Error {
  override readonly name = "OverlayUnsupportedError";
}

/** What `podrouter status` shows. */
export interface OverlaySummary extends OverlayStatus {
  readonly encap: OverlaySettings["encap"];
  readonly type: OverlaySettings["type"];
}

export class OverlayPart {
  readonly #config: Pick<AgentConfig, "overlay" | "dryRun" | "families">;
  readonly #kernel: OverlayKernel;
  readonly #controller: OverlayController;
  /** What the controller was told of each other Node, by name. */
  readonly #remotes = new Map<string, FamilyAddresses>();

  constructor(
    config: Pick<AgentConfig, "overlay" | "dryRun" | "families">,
    deps: Omit<OverlayDeps, "kernel">,
    kernel: OverlayKernel = new NetlinkOverlay(),
  ) {
    this.#config = config;
    this.#kernel = kernel;
    const { overlay: settings, dryRun } = config;
    this.#controller = new OverlayController({ settings, dryRun }, { ...deps, kernel });
  }

  /** For the routes; undefined = they are not to ask. */
  get tunnels(): Tunnels | undefined {
    return this.#config.overlay === undefined ? undefined : this.#controller;
  }

  /** @throws {OverlayUnsupportedError} one sentence that says what to do. */
  async check(): Promise<void> {
    const { overlay, dryRun, families } = this.#config;
    if (overlay === undefined || dryRun) return;
    const kind = deviceKind(overlay.encap, families[0] ?? 4);
    let supported: boolean;
    try {
      supported = await this.#kernel.supports(kind);
    } catch (error) {
      // Whoever may not ask may not make one either, which is a condition by itself.
      if (error instanceof OverlayKernelError) return;
      throw error;
    }
    if (supported) return;
    const other = overlay.encap === "ipip" ? "vxlan" : "ipip";
    throw new OverlayUnsupportedError(
      `--overlay-encap=${overlay.encap}: this kernel has no ${kind} devices: load its module ` +
        `(modprobe ${kind === "ip6tnl" ? "ip6_tunnel" : kind}), or give ` +
        `--overlay-encap=${other} on all Nodes`,
    );
  }

  start(): void {
    this.#controller.start();
  }

  /** Tunnels stay. */
  stop(): Promise<void> {
    return this.#controller.stop();
  }

  /** Without an own Node all stays as it is; when it comes back, that is a change of "all". */
  update({ topology: { self, peers }, complete }: Known, change: TopologyChange | "all"): void {
    if (self === undefined) return;
    let remotes: OverlayWanted["remotes"] | undefined;
    const wanted = {
      complete,
      own: self.nodeIps,
      ownPodCidrs: self.podCidrs,
      /** Nobody asks as long as there are no tunnels. */
      get remotes() {
        remotes ??= peers.map(({ nodeIps }) => nodeIps);
        return remotes;
      },
    };
    this.#controller.want(wanted, this.#changes(peers, change));
  }

  /** What changed of the other Nodes' addresses; undefined = anything. */
  #changes(
    peers: readonly PeerNode[],
    change: TopologyChange | "all",
  ): readonly RemoteChange[] | undefined {
    if (this.#config.overlay === undefined) return undefined;
    if (change === "all") {
      this.#remotes.clear();
      for (const { name, nodeIps } of peers) this.#remotes.set(name, nodeIps);
      return undefined;
    }
    const changes: RemoteChange[] = [];
    for (const [name, peer] of change.peers) {
      const before = this.#remotes.get(name);
      const after = peer?.nodeIps;
      changes.push({ before, after });
      if (after === undefined) this.#remotes.delete(name);
      else this.#remotes.set(name, after);
    }
    return changes;
  }

  /** What tunnels take from the MTU of pods. */
  overheadBytes({ self }: Topology): number {
    const families = FAMILIES.filter((family) => self?.nodeIps[family]);
    return this.#controller.overheadBytes(families);
  }

  conditions(): readonly OverlayProblem[] {
    return this.#controller.conditions();
  }

  /** What a dry run holds back. */
  planned(): readonly string[] {
    const program = (line: string) => (line.startsWith("fdb ") ? "bridge" : "ip");
    return this.#controller.planned().map((line) => `${program(line)} ${line}`);
  }

  /** For the metrics. */
  counts() {
    const { tunnels, missing, repairs, failed } = this.#controller.status();
    return {
      tunnels: tunnels[4] + tunnels[6],
      tunnelsMissing: missing,
      tunnelsRepaired: repairs,
      tunnelsFailed: failed,
    };
  }

  /** Undefined = off. */
  summary(): OverlaySummary | undefined {
    const { overlay } = this.#config;
    if (overlay === undefined) return undefined;
    return { encap: overlay.encap, type: overlay.type, ...this.#controller.status() };
  }
}
