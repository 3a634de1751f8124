/**
 * The composition root: makes the parts, joins them, and starts and stops them in order.
 *
 *   admin socket ─ nobody else runs here
 *   routes, ipsets ─ look at the kernel; routes of an earlier run are adopted
 *   Nodes ─▶ topology ─▶ 1 ipsets  2 guards of the routes  3 tunnels
 *                        4 BGP: peers, own pod CIDRs  5 pods
 *   BGP best routes ─▶ routes, through tunnels where there are some ─▶ kernel
 *
 * The Nodes are the only input that changes; each change runs the whole chain with what may be
 * otherwise now, and each part does only the difference: a Node costs the same in any cluster.
 * What is wrong stands in one registry of conditions, refreshed from the parts' own status, so that
 * no part has to report anything.
 */
import { TcpTransport } from "../bgp/session/tcp-transport.ts";
import { POD_BRIDGE } from "../cni/types.ts";
import type { IpAddress } from "../ip/address.ts";
import { SetController } from "../ipset/controller.ts";
import { NetlinkSets } from "../ipset/netlink-sets.ts";
import type { NodeSource, Nodes } from "../k8s/node-source.ts";
import type { Topology } from "../k8s/topology.ts";
import { goneSubnets, NO_CHANGE, type TopologyChange } from "../k8s/topology-step.ts";
import { RouteController } from "../routes/controller.ts";
import { NetlinkKernel } from "../routes/netlink-kernel.ts";
import type { Clock, Random, Timer } from "../runtime/clock.ts";
import type { Log } from "../runtime/log.ts";
import { AdminServer } from "./admin-server.ts";
import { adminSource } from "./admin-source.ts";
import { BgpFiles } from "./bgp-files.ts";
import { BgpPart } from "./bgp-part.ts";
import { planBgp } from "./bgp-plan.ts";
import { type ConditionStatus, Conditions } from "./conditions.ts";
import type { AgentConfig } from "./config.ts";
import { isReady, type ReadinessCheck } from "./health.ts";
import { HttpPages } from "./http-pages.ts";
import { type KernelParts, kernelCounts } from "./kernel-parts.ts";
import { readMd5Drops } from "./md5-drops.ts";
import { MeshMemo } from "./mesh.ts";
import { Metrics } from "./metrics.ts";
import { nodeConditions } from "./node-conditions.ts";
import { checkNodeSource, nodeSourceOf, TopologyReader } from "./node-feed.ts";
import type { NodePeers } from "./node-peers.ts";
import { OverlayPart } from "./overlay-part.ts";
import { PodsPart } from "./pods-part.ts";
import { readinessChecks } from "./readiness.ts";
import { type Known, SetsFirst } from "./sets-first.ts";
import { lookAround } from "./surroundings.ts";
import { MachineUnderlay } from "./underlay.ts";
import { VERSION } from "./version.ts";

/** How often the parts are asked what is wrong, and how soon after a change of the Nodes. */
const REFRESH_MS = 1000;
const REFRESH_SOON_MS = 50;
/** How often everything is computed from all Nodes, whatever was told of changes. */
const WHOLE_MS = 300_000;

export interface AgentDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly logLinesDropped: () => number;
  /** A peer sends a table, which is about to be read. */
  readonly onBulk: () => void;
}

export class Agent {
  readonly #config: AgentConfig;
  readonly #deps: AgentDeps;
  readonly #conditions: Conditions;
  readonly #bgp: BgpPart;
  readonly #overlay: OverlayPart;
  readonly #routes: RouteController;
  readonly #sets: SetController;
  readonly #files: BgpFiles;
  /** Both undefined = the agent runs without Nodes. */
  readonly #pods: PodsPart | undefined;
  readonly #nodes: NodeSource | undefined;
  readonly #reader: TopologyReader;
  /** As the source has them now. */
  #known: Nodes | undefined;
  #wholeAt = 0;
  readonly #mesh = new MeshMemo();
  readonly #admin: AdminServer;
  readonly #pages: HttpPages;
  readonly #metrics: Metrics;
  readonly #checks: readonly ReadinessCheck[];
  #topology: Topology | undefined;
  /** Whether it is of all Nodes that there are: false while they are of an earlier run. */
  #complete = false;
  /** What the sets have, and all the rest was told. */
  #applied: Known | undefined;
  /** Since when that is complete, monotonic ms. */
  #completeAt: number | undefined;
  readonly #changes = new SetsFirst(
    (known, change) => this.#fillSets(known, change),
    (known, change) => this.#goOn(known, change),
  );
  /** Undefined = the peers are planned as a whole. */
  #nodePeers: NodePeers | undefined;
  /** Of the configuration, flags or annotations. */
  #namedPeers: readonly IpAddress[] = [];
  #adopted = 0;
  readonly #underlay = new MachineUnderlay(() => this.#overlay.tunnels);
  /** The kernel was looked at: it is known whether routes of an earlier run are there. */
  #looked = false;
  #refresh: Timer | undefined;
  #refreshSoon = false;
  #stopped = false;

  constructor(config: AgentConfig, deps: AgentDeps) {
    const { clock, random, log, onBulk } = deps;
    const part = (name: string) => ({ clock, random, log: log.child({ part: name }) });
    this.#config = config;
    this.#deps = deps;
    this.#conditions = new Conditions({ clock, log });
    this.#bgp = new BgpPart(
      { ...part("bgp"), transport: new TcpTransport({ onBulk }), underlay: this.#underlay },
      {
        // A dry run looks at the whole table when it has come to rest.
        onChangesWait: config.dryRun ? undefined : () => this.#routes.changesWait(),
        onTableChange: () => this.#routes.wantedChanged(),
        onConverged: () => this.#refreshConditionsSoon(),
      },
    );
    this.#overlay = new OverlayPart(config, {
      ...part("overlay"),
      settled: () => this.#routes.settled(),
      onWays: (nextHops) => {
        this.#routes.tunnelsChanged(nextHops);
        this.#bgp.waysChanged(nextHops);
      },
    });
    this.#routes = new RouteController(
      {
        guards: { protectedAddresses: [], ownPodCidrs: [], podLink: POD_BRIDGE },
        syncPeriodMs: config.routeSyncSeconds * 1000,
        dryRun: config.dryRun,
      },
      {
        ...part("routes"),
        kernel: new NetlinkKernel(),
        desired: this.#bgp,
        tunnels: this.#overlay.tunnels,
        onTopology: (topology, news) => {
          this.#underlay.topology = topology;
          this.#bgp.underlayChanged(news);
          if (news) this.#nodes?.underlayChanged?.();
        },
      },
    );
    this.#sets = new SetController(
      { syncPeriodMs: config.ipsetSyncSeconds * 1000, dryRun: config.dryRun },
      { ...part("ipsets"), kernel: new NetlinkSets() },
    );
    this.#files = new BgpFiles(config, part("config"), () => this.#updateBgp());
    this.#nodes = nodeSourceOf(config, { ...part("nodes"), carries: this.#underlay.carries });
    if (this.#nodes !== undefined) {
      this.#pods = new PodsPart(config, part("pods"), () => this.#doesNotRoute());
    }
    this.#reader = new TopologyReader(config.nodeName, config.families);
    this.#checks = readinessChecks({
      nodes: this.#nodes,
      known: () => this.#topology !== undefined,
      bgp: this.#bgp,
      routes: this.#routes,
      sets: this.#sets,
      pods: this.#pods,
    });
    this.#metrics = new Metrics({
      version: VERSION,
      configDigest: () => this.#files.inForce?.digest,
      peers: () => this.#bgp.peers(),
      updates: () => this.#bgp.updates(),
      ribSize: () => this.#bgp.sizes(),
      refusedConnections: () => this.#bgp.refusedConnections,
      md5Drops: readMd5Drops,
      kernel: () => kernelCounts(this.#parts()),
      conditions: () => this.#conditions.list(),
      ready: () => isReady(this.#checks),
      logLinesDropped: deps.logLinesDropped,
    });
    const source = adminSource(config, {
      startedAt: clock.wall(),
      files: this.#files,
      bgp: this.#bgp,
      overlay: this.#overlay,
      conditions: () => this.#lookAtConditions(),
      checks: this.#checks,
      kernelParts: () => this.#parts(),
    });
    this.#admin = new AdminServer(source, part("admin"));
    this.#pages = new HttpPages(config, part("http"), {
      conditions: this.#conditions,
      checks: this.#checks,
      metrics: this.#metrics.page,
    });
  }

  /**
   * @throws {Error} one sentence: another agent runs here, the socket cannot be made, or there are
   * no Nodes to be had ({@link KubeConfigError}).
   */
  async start(): Promise<void> {
    const { adminSocket, dryRun } = this.#config;
    await checkNodeSource(this.#config, this.#deps);
    await this.#overlay.check();
    await this.#admin.start(adminSocket);
    lookAround(this.#config, this.#conditions);
    await this.#pages.start();
    if (dryRun) this.#deps.log.info({}, "dry run: nothing is changed in the kernel");
    this.#adopted = (await this.#routes.start()).adopted;
    this.#looked = true;
    await this.#files.start();
    if (this.#stopped) return;
    await this.#pods?.start();
    if (this.#stopped) return;
    this.#overlay.start();
    this.#nodes?.start((nodes, changed) => this.#onNodes(nodes, changed));
    this.#refreshConditions();
  }

  /** Reads the files of the configuration again, as SIGHUP asks. */
  async reload(): Promise<void> {
    await this.#files.reload();
    this.#updateBgp();
  }

  /** Ends everything; routes and ipsets stay, so that pods go on being reached. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#refresh?.cancel();
    // It may wait for a program that hangs, and peers are not to learn of the end by that.
    const pods = this.#pods?.stop();
    await Promise.all([this.#routes.stop(), this.#sets.stop()]);
    await this.#overlay.stop();
    this.#bgp.stop({ notify: this.#config.bgp.restartSeconds === undefined });
    this.#files.stop();
    await Promise.all([pods, this.#nodes?.stop(), this.#admin.stop(), this.#pages.stop()]);
  }

  /** `changed`: names of the Nodes that may have; undefined = any. */
  #onNodes(nodes: Nodes, changed?: ReadonlySet<string>): void {
    if (this.#stopped) return;
    const began = this.#deps.clock.now();
    this.#known = nodes;
    const { topology, change } = this.#reader.follow(nodes, changed);
    this.#topology = topology;
    const complete = this.#nodes?.status().synced === true;
    // What may be missing no longer is: what was kept for it may go.
    const news = complete === this.#complete ? change : "all";
    this.#complete = complete;
    if (news !== NO_CHANGE) this.#apply(topology, news);
    this.#convergeIfKnown();
    this.#refreshConditionsSoon();
    this.#metrics.observeNodeEvent((this.#deps.clock.now() - began) / 1000);
  }

  #apply(topology: Topology, change: TopologyChange | "all"): void {
    this.#changes.take({ topology, complete: this.#complete }, change);
    this.#setGuards(change === "all" ? undefined : change.nodeIps);
  }

  /** `changed`: of the Nodes' addresses, while nothing else did. */
  #setGuards(changed?: ReadonlyMap<IpAddress, boolean>): void {
    const protectedAddresses = this.#topology?.nodeIps ?? [];
    const ownPodCidrs = this.#topology?.self?.podCidrs ?? [];
    const peers = this.#namedPeers;
    const settings = { protectedAddresses, ownPodCidrs, podLink: POD_BRIDGE, peers };
    this.#routes.setGuards(settings, changed);
  }

  async #fillSets(known: Known, change: TopologyChange | "all"): Promise<void> {
    const began = this.#deps.clock.now();
    const changed = change === "all" ? undefined : change;
    const { podSubnets, nodeIps } = known.topology;
    await this.#sets.setDesired({ podSubnets, nodeIps, complete: known.complete }, changed);
    this.#metrics.observeSetsSync((this.#deps.clock.now() - began) / 1000);
  }

  /** Takes over what the sets have now. */
  #goOn(known: Known, change: TopologyChange | "all"): void {
    if (this.#stopped) return;
    const { topology } = known;
    const before = this.#applied?.topology;
    this.#applied = known;
    if (known.complete) this.#completeAt ??= this.#deps.clock.now();
    this.#overlay.update(known, change);
    this.#updatePeers(change);
    this.#pods?.update(topology, this.#overlay.overheadBytes(topology));
    const gone = goneSubnets(change, before, topology);
    if (gone.length > 0) this.#routes.markDirty(gone);
  }

  /** As {@link #updateBgp} where nothing but other Nodes changed, for the cost of these. */
  #updatePeers(news: TopologyChange | "all"): void {
    const began = this.#deps.clock.now();
    const change = news === "all" ? undefined : this.#nodePeers?.change(news.peers);
    if (change === undefined) {
      this.#updateBgp();
      return;
    }
    if (news !== "all" && news.peers.size > 0) this.#bgp.change(change);
    this.#metrics.observePeersSync((this.#deps.clock.now() - began) / 1000);
  }

  /** Tells the speaker what follows from flags, files and the Nodes that the sets have. */
  #updateBgp(): void {
    const topology = this.#applied?.topology;
    const waiting = topology === undefined && this.#nodes !== undefined;
    if (this.#stopped || !this.#looked || waiting) return;
    const began = this.#deps.clock.now();
    const { external, loaded } = this.#files;
    const config = { ...this.#config, bgp: { ...this.#config.bgp, external } };
    const restarted = this.#adopted > 0;
    const planned = planBgp({ topology, config, loaded, restarted, mesh: this.#mesh });
    this.#nodePeers = planned.ok ? planned.plan.nodePeers : undefined;
    this.#namedPeers = planned.ok ? planned.plan.named : [];
    this.#setGuards();
    this.#bgp.update(planned);
    this.#metrics.observePeersSync((this.#deps.clock.now() - began) / 1000);
  }

  /** Routes that nobody wants are removed only once it is known what everybody wants. */
  #convergeIfKnown(): void {
    const since = this.#nodes === undefined ? 0 : this.#completeAt;
    if (since !== undefined && this.#bgp.isComplete(since)) this.#routes.converged();
  }

  /** Why pods of this node may not be reached yet; undefined when every route is in. */
  #doesNotRoute(): string | undefined {
    const { pending, conditionsTotal } = this.#routes.status();
    const bgp = this.#bgp.notReady();
    if (bgp !== undefined) return bgp;
    if (this.#nodes?.status().synced === false) return "the Nodes are not known completely";
    return pending > 0 && conditionsTotal === 0 ? "routes are being installed" : undefined;
  }

  /** Finds nothing, or else it says what a change kept to itself. */
  #lookAtAll(): void {
    this.#wholeAt = this.#deps.clock.now() + WHOLE_MS;
    if (this.#known === undefined) return;
    const { topology, change } = this.#reader.follow(this.#known);
    this.#topology = topology;
    if (change !== NO_CHANGE) {
      this.#deps.log.warn({}, "a change of the Nodes went unnoticed until now");
      this.#apply(topology, change);
    }
    this.#updateBgp();
  }

  #refreshConditions(): void {
    this.#refreshSoon = false;
    if (this.#deps.clock.now() >= this.#wholeAt) this.#lookAtAll();
    this.#convergeIfKnown();
    this.#pods?.refresh();
    this.#lookAtConditions();
    this.#refresh = this.#deps.clock.after(REFRESH_MS, () => this.#refreshConditions());
  }

  /** Once the kernel has what changed: who is to be told of troubles can wait for that. */
  #refreshConditionsSoon(): void {
    if (this.#refreshSoon || this.#stopped || this.#refresh === undefined) return;
    this.#refreshSoon = true;
    this.#refresh.cancel();
    this.#refresh = this.#deps.clock.after(REFRESH_SOON_MS, () => this.#refreshConditions());
  }

  #lookAtConditions(): readonly ConditionStatus[] {
    if (this.#nodes !== undefined) {
      this.#conditions.replace("nodes", nodeConditions(this.#nodes.status(), this.#topology));
    }
    this.#conditions.replace("config", this.#files.conditions());
    this.#conditions.replace("bgp", this.#bgp.conditions());
    this.#conditions.replace("routes", this.#routes.status().conditions);
    this.#conditions.replace("overlay", this.#overlay.conditions());
    this.#conditions.replace("ipsets", this.#sets.status().conditions);
    this.#conditions.replace("pods", this.#pods?.conditions() ?? []);
    this.#conditions.replace("admin", this.#admin.conditions());
    return this.#conditions.list();
  }

  #parts(): KernelParts {
    const [routes, sets] = [this.#routes.status(), this.#sets.status()];
    return { routes, sets, overlay: this.#overlay, pods: this.#pods };
  }
}
