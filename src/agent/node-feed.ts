/**
 * From the configured source of Nodes to topologies of this cluster: the source with its cache, the
 * filter for address families, and the settled contradictions. A kubeconfig that cannot be read is
 * tried again while the Nodes of the last run serve; without such Nodes there is nothing to do, and
 * the agent does not start.
 */
import { join } from "node:path";
import { familyOf, type IpAddress, type IpFamily } from "../ip/address.ts";
import { prefixFamily } from "../ip/prefix.ts";
import { ApiNodeSource } from "../k8s/api-source.ts";
import { CachedNodeSource } from "../k8s/cached-source.ts";
import { FileNodeSource } from "../k8s/file-source.ts";
import { HttpApiTransport } from "../k8s/http-transport.ts";
import { KubeConfigError, loadKubeAccess } from "../k8s/kube-config.ts";
import { NodeCache } from "../k8s/node-cache.ts";
import type { NodeSnapshot } from "../k8s/node-snapshot.ts";
import type { NodeSource, NodeSourceStatus, Nodes, OnNodes } from "../k8s/node-source.ts";
import { type Topology, TopologyMemo } from "../k8s/topology.ts";
import { type FollowedTopology, followTopology } from "../k8s/topology-step.ts";
import { type BackoffOptions, backoffMs } from "../runtime/backoff.ts";
import type { Clock, Random, Timer } from "../runtime/clock.ts";
import type { Log } from "../runtime/log.ts";
import type { AgentConfig, NodesFrom } from "./config.ts";

const RETRY: BackoffOptions = { firstMs: 500, maxMs: 15_000 };

export interface NodeFeedDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** As of {@link ApiNodeSource}. */
  readonly carries?: (own: IpAddress) => boolean;
}

/** The source that the configuration names, with the cache of the state folder; may be none. */
export function nodeSourceOf(config: AgentConfig, deps: NodeFeedDeps): NodeSource | undefined {
  if (config.nodes.kind === "none") return undefined;
  return new CachedNodeSource(liveSource(config.nodes, deps), cacheOf(config, deps));
}

/** @throws {KubeConfigError} when neither the API server nor Nodes of an earlier run can be had. */
export async function checkNodeSource(config: AgentConfig, deps: NodeFeedDeps): Promise<void> {
  if (config.nodes.kind !== "api") return;
  try {
    loadKubeAccess(config.nodes);
  } catch (error) {
    if ((await cacheOf(config, deps).load()) === undefined) throw error;
  }
}

function cacheOf(config: AgentConfig, deps: NodeFeedDeps): NodeCache {
  return new NodeCache({ path: join(config.stateDir, "nodes.json"), ...deps });
}

function liveSource(
  nodes: Exclude<NodesFrom, { readonly kind: "none" }>,
  deps: NodeFeedDeps,
): NodeSource {
  if (nodes.kind === "file") return new FileNodeSource({ path: nodes.path, ...deps });
  return new RetriedNodeSource(nodes.kubeconfig ?? "service account", deps, () => {
    const access = loadKubeAccess(nodes);
    const { withheld: reason } = access;
    if (reason !== undefined) deps.log.warn({ reason }, "the API server is told no credentials");
    return new ApiNodeSource({ transport: new HttpApiTransport(access), ...deps });
  });
}

/** A source that may not be makeable yet: tried again until it is. */
class RetriedNodeSource implements NodeSource {
  readonly #origin: string;
  readonly #deps: NodeFeedDeps;
  readonly #make: () => NodeSource;
  #source: NodeSource | undefined;
  #retry: Timer | undefined;
  #failures = 0;
  #lastError: NodeSourceStatus["lastError"];

  /** `make` throws {@link KubeConfigError} when it cannot be made now. */
  constructor(origin: string, deps: NodeFeedDeps, make: () => NodeSource) {
    this.#origin = origin;
    this.#deps = deps;
    this.#make = make;
  }

  start(onChange: OnNodes, known?: Nodes, version?: string): void {
    try {
      this.#source = this.#make();
    } catch (error) {
      if (!(error instanceof KubeConfigError)) throw error;
      this.#lastError = { at: this.#deps.clock.wall(), reason: error.message };
      const delay = backoffMs(RETRY, this.#failures++, this.#deps.random);
      this.#retry = this.#deps.clock.after(delay, () => {
        this.start(onChange, known, version);
      });
      return;
    }
    this.#source.start(onChange, known, version);
  }

  underlayChanged(): void {
    this.#source?.underlayChanged?.();
  }

  async stop(): Promise<void> {
    this.#retry?.cancel();
    await this.#source?.stop();
  }

  status(): NodeSourceStatus {
    if (this.#source !== undefined) return this.#source.status();
    return {
      kind: "api",
      origin: this.#origin,
      synced: false,
      connected: false,
      lastSync: undefined,
      lastError: this.#lastError,
      nodes: 0,
      problems: [],
    };
  }
}

/** Turns Nodes into topologies; gives the same object while nothing that matters changed. */
export class TopologyReader {
  readonly #nodeName: string;
  readonly #families: readonly IpFamily[];
  readonly #memo = new TopologyMemo();
  /** The Nodes without what is of a family that is switched off; and of what they were made. */
  readonly #usable = new Map<string, NodeSnapshot>();
  readonly #whole = new Map<string, NodeSnapshot>();

  constructor(nodeName: string, families: readonly IpFamily[]) {
    this.#nodeName = nodeName;
    this.#families = families;
  }

  read(nodes: Nodes): Topology {
    return this.follow(nodes).topology;
  }

  /** `changed`: names of all Nodes that may have changed since the last call; undefined = any. */
  follow(nodes: Nodes, changed?: ReadonlySet<string>): FollowedTopology {
    return followTopology(this.#nodeName, this.#filtered(nodes, changed), changed, this.#memo);
  }

  #filtered(nodes: Nodes, changed: ReadonlySet<string> | undefined): Nodes {
    if (this.#families.length === 2) return nodes;
    const names = changed ?? new Set([...this.#whole.keys(), ...nodes.keys()]);
    for (const name of names) {
      const node = nodes.get(name);
      if (node === this.#whole.get(name)) continue;
      if (node === undefined) {
        this.#whole.delete(name);
        this.#usable.delete(name);
      } else {
        this.#whole.set(name, node);
        this.#usable.set(name, this.#withoutOthers(node));
      }
    }
    return this.#usable;
  }

  #withoutOthers(node: NodeSnapshot): NodeSnapshot {
    return {
      ...node,
      addresses: node.addresses.filter(({ address }) => this.#families.includes(familyOf(address))),
      podCidrs: node.podCidrs.filter((prefix) => this.#families.includes(prefixFamily(prefix))),
    };
  }
}
