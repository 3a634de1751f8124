/**
 * The composition root: makes the parts, joins them, and starts and stops them in order.
 *
 *   admin socket ─ nobody else runs here
 *   routes, ipsets ─ look at the kernel; routes of an earlier run are adopted
 *   Nodes ─▶ topology ─▶ 1 ipsets  2 guards of the routes  3 tunnels
 *                        4 BGP: peers, own pod CIDRs  5 pods
 *   BGP best routes ─▶ routes, through tunnels where there are some ─▶ kernel
 *
 * The Nodes are the only input that changes; each change runs the whole chain, and each part does
 * only the difference. What is wrong stands in one registry of conditions, refreshed from the
 * parts' own status, so that no part has to report anything.
 */
import { TcpTransport } from "../bgp/session/tcp-transport.ts";
import type { IpAddress } from "../ip/address.ts";
import type { Prefix } from "../ip/prefix.ts";
import { SetController } from "../ipset/controller.ts";
import { NetlinkSets } from "../ipset/netlink-sets.ts";
import type { NodeSource, Nodes } from "../k8s/node-source.ts";
import type { Topology } from "../k8s/topology.ts";
import { RouteController } from "../routes/controller.ts";
import { NetlinkKernel } from "../routes/netlink-kernel.ts";
import type { Clock, Random, Timer } from "../runtime/clock.ts";
import type { Log } from "../runtime/log.ts";
import { AdminServer } from "./admin-server.ts";
import { BgpFiles } from "./bgp-files.ts";
import { BgpPart } from "./bgp-part.ts";
import { planBgp } from "./bgp-plan.ts";
import { hasNetAdmin } from "./capabilities.ts";
import { Conditions } from "./conditions.ts";
import type { AgentConfig } from "./config.ts";
import { isReady, type ReadinessCheck, waitingFor } from "./health.ts";
import { HttpPages } from "./http-pages.ts";
import { makeFolder } from "./make-folder.ts";
import { readMd5Drops } from "./md5-drops.ts";
import { MeshMemo } from "./mesh.ts";
import { Metrics } from "./metrics.ts";
import { nodeConditions } from "./node-conditions.ts";
import { checkNodeSource, nodeSourceOf, TopologyReader } from "./node-feed.ts";
import { OverlayPart } from "./overlay-part.ts";
import { PodsPart } from "./pods-part.ts";
import { VERSION } from "./version.ts";

/** How often the parts are asked what is wrong, and how soon after a change of the Nodes. */
const REFRESH_MS = 1000;
const REFRESH_SOON_MS = 50;

export interface AgentDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly logLinesDropped: () => number;
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
  /** Undefined = the agent runs without Nodes. */
  readonly #pods: PodsPart | undefined;
  /** Undefined = the agent runs without Nodes. */
  readonly #nodes: NodeSource | undefined;
  readonly #reader: TopologyReader;
  readonly #mesh = new MeshMemo();
  readonly #admin: AdminServer;
  readonly #pages: HttpPages;
  readonly #metrics: Metrics;
  readonly #checks: readonly ReadinessCheck[];
  readonly #startedAt: number;
  #topology: Topology | undefined;
  /** The topology that routes and BGP were told last. */
  #applied: Topology | undefined;
  #adopted = 0;
  /** The kernel was looked at: it is known whether routes of an earlier run are there. */
  #looked = false;
  #refresh: Timer | undefined;
  #refreshSoon = false;
  #stopped = false;

  constructor(config: AgentConfig, deps: AgentDeps) {
    const { clock, random, log } = deps;
    const part = (name: string) => ({ clock, random, log: log.child({ part: name }) });
    this.#config = config;
    this.#deps = deps;
    this.#startedAt = clock.wall();
    this.#conditions = new Conditions({ clock, log });
    this.#bgp = new BgpPart(
      { ...part("bgp"), transport: new TcpTransport() },
      {
        // A dry run looks at the whole table when it has come to rest.
        onBestChange: config.dryRun ? undefined : (prefixes) => this.#routes.markDirty(prefixes),
        onTableChange: () => this.#routes.wantedChanged(),
        onConverged: () => this.#convergeIfKnown(),
      },
    );
    this.#overlay = new OverlayPart(config, {
      ...part("overlay"),
      settled: () => this.#routes.settled(),
      onWays: (nextHops) => this.#routes.tunnelsChanged(nextHops),
    });
    this.#routes = new RouteController(
      {
        guards: { protectedAddresses: [], ownPodCidrs: [] },
        syncPeriodMs: config.routeSyncSeconds * 1000,
        dryRun: config.dryRun,
      },
      {
        ...part("routes"),
        kernel: new NetlinkKernel(),
        desired: this.#bgp,
        tunnels: this.#overlay.tunnels,
      },
    );
    this.#sets = new SetController(
      { syncPeriodMs: config.ipsetSyncSeconds * 1000, dryRun: config.dryRun },
      { ...part("ipsets"), kernel: new NetlinkSets() },
    );
    this.#files = new BgpFiles(config, part("config"), () => this.#updateBgp());
    this.#nodes = nodeSourceOf(config, part("nodes"));
    if (this.#nodes !== undefined) {
      this.#pods = new PodsPart(config, part("pods"), () => this.#doesNotRoute());
    }
    this.#reader = new TopologyReader(config.nodeName, config.families);
    this.#checks = this.#readinessChecks();
    this.#metrics = new Metrics({
      version: VERSION,
      peers: () => this.#bgp.peers(),
      ribSize: () => this.#bgp.sizes(),
      refusedConnections: () => this.#bgp.refusedConnections,
      md5Drops: readMd5Drops,
      kernel: () => this.#kernelCounts(),
      conditions: () => this.#conditions.list(),
      ready: () => isReady(this.#checks),
      logLinesDropped: deps.logLinesDropped,
    });
    this.#admin = new AdminServer(this.#adminSource(), part("admin"));
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
    this.#lookAround();
    await this.#pages.start();
    if (dryRun) this.#deps.log.info({}, "dry run: nothing is changed in the kernel");
    const { adopted } = await this.#routes.start();
    this.#adopted = adopted;
    this.#looked = true;
    await this.#files.start();
    if (this.#stopped) return;
    await this.#pods?.start();
    if (this.#stopped) return;
    this.#overlay.start();
    this.#nodes?.start((nodes) => this.#onNodes(nodes));
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
    await Promise.all([this.#routes.stop(), this.#sets.stop(), this.#pods?.stop()]);
    await this.#overlay.stop();
    this.#bgp.stop({ notify: this.#config.bgp.restartSeconds === undefined });
    this.#files.stop();
    await Promise.all([this.#nodes?.stop(), this.#admin.stop(), this.#pages.stop()]);
  }

  #onNodes(nodes: Nodes): void {
    if (this.#stopped) return;
    const began = this.#deps.clock.now();
    const before = this.#topology;
    const topology = this.#reader.read(nodes);
    this.#topology = topology;
    if (topology !== before) this.#apply(topology);
    this.#convergeIfKnown();
    this.#refreshConditionsSoon();
    this.#metrics.observeNodeEvent((this.#deps.clock.now() - began) / 1000);
  }

  /** The order matters: the sets decide what is masqueraded, so they are filled first. */
  #apply(topology: Topology): void {
    const began = this.#deps.clock.now();
    this.#routes.setGuards({
      protectedAddresses: topology.nodeIps,
      ownPodCidrs: topology.self?.podCidrs ?? [],
    });
    const { podSubnets, nodeIps } = topology;
    void this.#sets.setDesired({ podSubnets, nodeIps }).then(() => {
      this.#metrics.observeSetsSync((this.#deps.clock.now() - began) / 1000);
      this.#applyRoutes();
    });
  }

  /** Takes over the newest topology, whichever of several was waited for. */
  #applyRoutes(): void {
    const before = this.#applied;
    const topology = this.#topology;
    if (this.#stopped || topology === undefined || topology === before) return;
    this.#applied = topology;
    this.#overlay.update(topology);
    this.#updateBgp();
    this.#pods?.update(topology, this.#overlay.overheadBytes(topology));
    const gone = goneSubnets(before, topology);
    if (gone.length > 0) this.#routes.markDirty(gone);
  }

  /** Tells the speaker what follows from Nodes, flags and files as they are now. */
  #updateBgp(): void {
    const topology = this.#topology;
    const waiting = topology === undefined && this.#nodes !== undefined;
    if (this.#stopped || !this.#looked || waiting) return;
    const began = this.#deps.clock.now();
    const bgp = { ...this.#config.bgp, external: this.#files.external };
    const config = { ...this.#config, bgp };
    const { loaded } = this.#files;
    const restarted = this.#adopted > 0;
    this.#bgp.update(planBgp({ topology, config, loaded, restarted, mesh: this.#mesh }));
    this.#metrics.observePeersSync((this.#deps.clock.now() - began) / 1000);
  }

  /** Routes that nobody wants are removed only once it is known what everybody wants. */
  #convergeIfKnown(): void {
    const synced = this.#nodes?.status().synced ?? true;
    if (this.#bgp.converged && synced) this.#routes.converged();
  }

  /** Why pods of this node may not be reached yet; undefined when every route is in. */
  #doesNotRoute(): string | undefined {
    const { converged, pending, conditionsTotal } = this.#routes.status();
    const bgp = this.#bgp.notReady();
    if (bgp !== undefined) return bgp;
    if (!converged) return "the Nodes are not known completely";
    return pending > 0 && conditionsTotal === 0 ? "routes are being installed" : undefined;
  }

  #refreshConditions(): void {
    this.#refreshSoon = false;
    this.#pods?.refresh();
    this.#lookAtConditions();
    this.#refresh = this.#deps.clock.after(REFRESH_MS, () => this.#refreshConditions());
  }

  /** Once the kernel has what changed: who is to be told of troubles can wait for that. */
  #refreshConditionsSoon(): void {
    if (this.#refreshSoon || this.#refresh === undefined) return;
    this.#refreshSoon = true;
    this.#refresh.cancel();
    this.#refresh = this.#deps.clock.after(REFRESH_SOON_MS, () => this.#refreshConditions());
  }

  #lookAtConditions(): void {
    if (this.#nodes !== undefined) {
      this.#conditions.replace("nodes", nodeConditions(this.#nodes.status(), this.#topology));
    }
    this.#conditions.replace("config", this.#files.conditions());
    this.#conditions.replace("bgp", this.#bgp.conditions());
    this.#conditions.replace("routes", this.#routes.status().conditions);
    this.#conditions.replace("overlay", this.#overlay.conditions());
    this.#conditions.replace("ipsets", this.#sets.status().conditions);
    this.#conditions.replace("pods", this.#pods?.conditions() ?? []);
  }

  #readinessChecks(): readonly ReadinessCheck[] {
    return [
      { name: "nodes", problem: () => this.#nodesNotReady() },
      { name: "bgp", problem: () => this.#bgp.notReady() },
      { name: "routes", problem: () => this.#routesNotReady() },
      { name: "ipsets", problem: () => this.#setsNotReady() },
      { name: "pods", problem: () => this.#pods?.notReady() },
    ];
  }

  #nodesNotReady(): string | undefined {
    if (this.#topology !== undefined || this.#nodes === undefined) return undefined;
    const { origin, lastError } = this.#nodes.status();
    return lastError?.reason ?? `no answer yet from ${origin}`;
  }

  #routesNotReady(): string | undefined {
    const status = this.#routes.status();
    if (status.lastSync === undefined) return "the kernel's routes are not known yet";
    return status.conditions.find((condition) => condition.code === "kernel-unavailable")?.message;
  }

  #setsNotReady(): string | undefined {
    const status = this.#sets.status();
    if (this.#nodes === undefined || status.lastSync !== undefined) return undefined;
    return status.conditions[0]?.message ?? "the sets are not filled yet";
  }

  #kernelCounts() {
    const { installed, counters } = this.#routes.status();
    const sets = this.#sets.status().counters;
    return {
      routesInstalled: installed,
      routesAdded: counters.created,
      routesReplaced: counters.replaced,
      routesRemoved: counters.deleted,
      routesFailed: counters.failed,
      routesForeign: counters.foreignEvents,
      setMembersAdded: sets.added,
      setMembersRemoved: sets.removed,
      ...this.#overlay.counts(),
      ruleRepairs: this.#pods?.ruleRepairs ?? 0,
    };
  }

  /** What a dry run holds back. */
  #planned() {
    const routes = this.#routes.status();
    const sets = this.#sets.status();
    const pods = [...this.#overlay.planned(), ...(this.#pods?.planned() ?? [])];
    return {
      planned: [
        ...sets.planned.map((line) => `ipset ${line}`),
        ...routes.planned.map((line) => `route ${line}`),
        ...pods,
      ],
      plannedTotal: sets.plannedTotal + routes.plannedTotal + pods.length,
    };
  }

  #adminSource() {
    const bgp = this.#bgp;
    return {
      status: () => ({
        nodeName: this.#config.nodeName,
        version: VERSION,
        pid: process.pid,
        startedAt: this.#startedAt,
        dryRun: this.#config.dryRun,
        ready: isReady(this.#checks),
        waitingFor: waitingFor(this.#checks),
        conditions: this.#conditions.list(),
        overlay: this.#overlay.summary(),
        ...this.#planned(),
      }),
      peers: () => bgp.peers(),
      paths: () => bgp.paths(),
      pathsOf: (prefix: Prefix) => bgp.pathsOf(prefix),
      pathsCovering: (address: IpAddress) => bgp.pathsCovering(address),
      exchanged: (direction: "from" | "to", peer: IpAddress) => bgp.exchanged(direction, peer),
    };
  }

  /** Looks once at what this process was given, and says what is missing. */
  #lookAround(): void {
    const { stateDir, dryRun } = this.#config;
    try {
      makeFolder(stateDir, 0o700);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.#conditions.set("agent", "state-dir", {
        severity: "warning",
        message: `--state-dir ${stateDir} cannot be made, nothing outlives the process: ${reason}`,
      });
    }
    if (dryRun || hasNetAdmin()) return;
    this.#conditions.set("agent", "capability", {
      severity: "error",
      message: "CAP_NET_ADMIN is missing: routes and ipsets cannot be changed",
    });
  }
}

/** Pod CIDRs that some Node had and none has now. */
function goneSubnets(before: Topology | undefined, after: Topology): readonly Prefix[] {
  if (before === undefined || before.podSubnets === after.podSubnets) return [];
  const left = new Set(after.podSubnets);
  return before.podSubnets.filter((prefix) => !left.has(prefix));
}
