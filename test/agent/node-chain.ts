/**
 * The chain from Node objects to the kernel as the agent joins it, with real parts on a fake clock:
 * store → topology → ipsets, guards, peers → sessions → routes. Only the kernel, the network and
 * the other Nodes' machines are in memory.
 */
import assert from "node:assert/strict";
import { BgpPart } from "../../src/agent/bgp-part.ts";
import { planBgp } from "../../src/agent/bgp-plan.ts";
import { Conditions } from "../../src/agent/conditions.ts";
import { type AgentConfig, configure } from "../../src/agent/config.ts";
import { MeshMemo } from "../../src/agent/mesh.ts";
import { nodeConditions } from "../../src/agent/node-conditions.ts";
import { TopologyReader } from "../../src/agent/node-feed.ts";
import type { NodePeers } from "../../src/agent/node-peers.ts";
import { OverlayPart } from "../../src/agent/overlay-part.ts";
import { PodsPart } from "../../src/agent/pods-part.ts";
import { type Known, SetsFirst } from "../../src/agent/sets-first.ts";
import { MachineUnderlay } from "../../src/agent/underlay.ts";
import { Speaker } from "../../src/bgp/speaker.ts";
import type { IpAddress } from "../../src/ip/address.ts";
import { SetController } from "../../src/ipset/controller.ts";
import { NodeStore } from "../../src/k8s/node-store.ts";
import type { Topology } from "../../src/k8s/topology.ts";
import { goneSubnets, NO_CHANGE, type TopologyChange } from "../../src/k8s/topology-step.ts";
import { RouteController } from "../../src/routes/controller.ts";
import { silentLog } from "../../src/runtime/log.ts";
import { FakeSets } from "../ipset/fake-sets.ts";
import { IPS, IPS6, PODS, PODS6 } from "../ipset/lab.ts";
import { nodeObject } from "../k8s/node-objects.ts";
import { FakeOverlay } from "../overlay/fake-overlay.ts";
import { FakeKernel, line } from "../routes/fake-kernel.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { MemoryNetwork } from "../support/memory-network.ts";
import { ip, peerConfig, route, seededRandom, speakerConfig } from "../support/speakers.ts";

export interface Machine {
  readonly name: string;
  readonly address: IpAddress;
  readonly cidr: string;
}

/** Whose agent it is; the address is that of the fake kernel. */
export const SELF = machine("self", 0);
/** They are up, and as old as the cluster. */
export const OTHERS = machines(3);
/** Until all is at rest, controllers that are not told of a change included. */
const REST_MS = 70_000;

/** Other machines than the own one. */
export function machines(count: number): readonly Machine[] {
  return Array.from({ length: count }, (_, i) => machine(`other${i + 1}`, i + 1));
}

function machine(name: string, number: number): Machine {
  const [host, net] = [50 + number, 64 + number];
  const address = ip(`192.168.${50 + (host >> 8)}.${host & 255}`);
  return { name, address, cidr: `10.${233 + (net >> 8)}.${net & 255}.0/24` };
}

export function machineObject({ name, address, cidr }: Machine): Record<string, unknown> {
  return nodeObject(name, { internal: address, cidrs: [cidr], created: "2020-01-01T00:00:00Z" });
}

export function agentConfig(flags: Readonly<Record<string, string>>): AgentConfig {
  const around = { nodeName: SELF.name, hostName: "", inCluster: true };
  const configured = configure(new Map(Object.entries(flags)), around);
  assert.ok(configured.ok);
  return configured.value;
}

export class NodeChain {
  readonly clock = new FakeClock();
  readonly store = new NodeStore();
  /** Whether these are all Nodes. */
  complete = true;
  readonly #config: AgentConfig;
  readonly #reader: TopologyReader;
  readonly #random = seededRandom(1);
  readonly network = new MemoryNetwork(this.clock);
  readonly kernel = new FakeKernel(this.clock);
  readonly fakeSets = new FakeSets();
  readonly fakeOverlay = new FakeOverlay();
  readonly #others: readonly Machine[];
  readonly #conditions = new Conditions({ clock: this.clock, log: silentLog });
  readonly #underlay = new MachineUnderlay(() => this.#overlay.tunnels);
  readonly #overlay: OverlayPart;
  readonly #pods: PodsPart;
  readonly #bgp: BgpPart;
  readonly #routes: RouteController;
  readonly #sets: SetController;
  readonly #changes: SetsFirst;
  readonly #mesh = new MeshMemo();
  readonly #speakers: Speaker[] = [];
  #nodePeers: NodePeers | undefined;
  #applied: Known | undefined;
  #wasComplete = true;
  #topology: Topology | undefined;

  constructor(config: AgentConfig, others: readonly Machine[] = OTHERS) {
    this.#config = config;
    this.#others = others;
    this.#reader = new TopologyReader(SELF.name, config.families);
    const deps = { clock: this.clock, random: this.#random, log: silentLog };
    const transport = this.network.host(SELF.address);
    this.#bgp = new BgpPart(
      { ...deps, transport, underlay: this.#underlay },
      {
        onChangesWait: () => this.#routes.changesWait(),
        onTableChange: () => this.#routes.wantedChanged(),
        onConverged: () => undefined,
      },
    );
    const overlay = {
      settled: () => this.#routes.settled(),
      onWays: (nextHops: ReadonlySet<IpAddress> | "all") => {
        this.#routes.tunnelsChanged(nextHops);
        this.#bgp.waysChanged(nextHops);
      },
    };
    this.#overlay = new OverlayPart(config, { ...deps, ...overlay }, this.fakeOverlay);
    this.#pods = new PodsPart(config, deps, () => this.#bgp.notReady());
    this.#routes = new RouteController(
      { guards: { protectedAddresses: [], ownPodCidrs: [] } },
      {
        ...deps,
        kernel: this.kernel,
        desired: this.#bgp,
        tunnels: this.#overlay.tunnels,
        onTopology: (topology, news) => {
          this.#underlay.topology = topology;
          this.#bgp.underlayChanged(news);
        },
      },
    );
    this.#sets = new SetController({}, { ...deps, kernel: this.fakeSets });
    this.#changes = new SetsFirst(
      async ({ topology: { podSubnets, nodeIps }, complete }, change) => {
        const changed = change === "all" ? undefined : change;
        await this.#sets.setDesired({ podSubnets, nodeIps, complete }, changed);
      },
      (known, change) => this.#goOn(known, change),
    );
  }

  /** All sessions are up when it resolves. */
  async start(): Promise<void> {
    await this.#routes.start();
    this.#overlay.start();
    for (const { address, cidr } of this.#others) {
      const services = { clock: this.clock, random: this.#random, log: silentLog };
      const transport = this.network.host(address);
      const speaker = new Speaker({ ...services, transport }, speakerConfig(address));
      speaker.originate([route(cidr, address)]);
      speaker.setPeers([peerConfig(address, SELF.address)]);
      speaker.start();
      this.#speakers.push(speaker);
    }
    for (const one of [SELF, ...this.#others]) this.store.put(machineObject(one));
    this.tell();
    await this.clock.advanceAsync(15_000);
  }

  async stop(): Promise<void> {
    await Promise.all([this.#routes.stop(), this.#sets.stop(), this.#pods.stop()]);
    await this.#overlay.stop();
    this.#bgp.stop({ notify: false });
    for (const speaker of this.#speakers) speaker.stop({ notify: false });
  }

  /** Takes over what the store has now; `whole`: any Node may have changed. */
  tell(whole = false): void {
    const changed = this.store.takeChanged();
    const told = this.#reader.follow(this.store.nodes, whole ? undefined : changed);
    const { topology, complete } = { ...told, complete: this.complete };
    this.#topology = topology;
    const change = complete === this.#wasComplete ? told.change : "all";
    this.#wasComplete = complete;
    if (change === NO_CHANGE) return;
    this.#changes.take({ topology, complete }, change);
    this.#routes.setGuards(
      { protectedAddresses: topology.nodeIps, ownPodCidrs: topology.self?.podCidrs ?? [] },
      change === "all" ? undefined : change.nodeIps,
    );
  }

  #goOn(known: Known, change: TopologyChange | "all"): void {
    const before = this.#applied?.topology;
    this.#applied = known;
    const { topology } = known;
    this.#overlay.update(known, change);
    const peers = change === "all" ? undefined : this.#nodePeers?.change(change.peers);
    if (peers !== undefined) this.#bgp.change(peers);
    else {
      const inputs = { topology, config: this.#config, loaded: undefined, restarted: false };
      const planned = planBgp({ ...inputs, mesh: this.#mesh });
      this.#nodePeers = planned.ok ? planned.plan.nodePeers : undefined;
      this.#bgp.update(planned);
    }
    this.#pods.update(topology, this.#overlay.overheadBytes(topology));
    const gone = goneSubnets(change, before, topology);
    if (gone.length > 0) this.#routes.markDirty(gone);
  }

  /** What is asked each second, and after each change of the Nodes: who is ready, what is wrong. */
  lookAtConditions(): void {
    if (this.#bgp.isComplete(0)) this.#routes.converged();
    this.#pods.refresh();
    const source = { origin: "test", lastSync: 0, lastError: undefined, problems: [], nodes: 0 };
    const status = { ...source, kind: "api" as const, synced: true, connected: true };
    this.#conditions.replace("nodes", nodeConditions(status, this.#topology));
    this.#conditions.replace("bgp", this.#bgp.conditions());
    this.#conditions.replace("routes", this.#routes.status().conditions);
    this.#conditions.replace("overlay", this.#overlay.conditions());
    this.#conditions.replace("ipsets", this.#sets.status().conditions);
    this.#conditions.replace("pods", this.#pods.conditions());
  }

  async rest(): Promise<void> {
    await this.clock.advanceAsync(REST_MS);
  }

  /** What no other Node has a say in: the machines' sessions, routes and members, without a gap. */
  assertUnmoved(when: string): void {
    const peers = this.#bgp.peers();
    const [pods, ips] = [PODS, IPS].map((set) => this.fakeSets.members(set) ?? []);
    for (const { name, address, cidr } of this.#others) {
      const peer = peers.find((one) => one.address === address);
      assert.deepEqual([peer?.name, peer?.state], [name, "Established"], when);
      assert.equal(peer?.established, 1, `${when}: the session with ${name} was never lost`);
      const routes = this.kernel.routes.filter(({ prefix: to }) => to === cidr).map(line);
      assert.equal(routes.length, 1, `${when}: the route to ${name}: ${routes}`);
    }
    for (const { name, address, cidr } of [SELF, ...this.#others]) {
      assert.ok(pods?.includes(cidr), `${when}: the pod CIDR of ${name} is a member`);
      assert.ok(ips?.includes(address), `${when}: the address of ${name} is a member`);
    }
    for (const speaker of this.#speakers) {
      const own = [...speaker.bestRoutes()].filter(({ prefix: to }) => to === SELF.cidr);
      assert.equal(own.length, 1, `${when}: the own pod CIDR is announced`);
    }
  }

  /** All that there is outside, and the topology, in words. */
  state(): unknown {
    const { problems, ...rest } = this.#topology!;
    const members = [PODS, IPS, PODS6, IPS6].map((set) => this.fakeSets.members(set) ?? []);
    const peers = this.#bgp.peers().map(({ name, address }) => `${name} ${address}`);
    return {
      topology: { ...rest, problems: problems.map(({ message }) => message).sort() },
      members,
      peers: peers.sort(),
      routes: this.kernel.routes.map(line).sort(),
    };
  }
}
