/** Our own speaker, in the shape of any other. */
import { join } from "node:path";
import { buildPeers } from "../../../src/agent/config-file/build.ts";
import { parseConfigFile } from "../../../src/agent/config-file/parse.ts";
import type { Policy, PolicyActions, PolicyStatement } from "../../../src/bgp/rib/policy-types.ts";
import type {
  GracefulRestartConfig,
  OriginatedRoute,
  PeerConfig,
  PeerStatus,
  RibPath,
  SpeakerConfig,
} from "../../../src/bgp/types.ts";
import type { IpFamily } from "../../../src/ip/address.ts";
import { prefix, prefixLength } from "../../../src/ip/prefix.ts";
import { address } from "../address.ts";
import type { SpeakerOptions } from "../speaker-main.ts";
import { JsonProcess } from "./json-process.ts";
import {
  LONG_LIVED_SECONDS,
  type NeighborSetup,
  type PeerDaemon,
  type PeerSetup,
  RESTART_SECONDS,
  RESTART_SECONDS_SHORT,
  type SeenRoute,
  type StartOptions,
  seenRoute,
  type TellsNextHops,
  type TestRoute,
} from "./peer.ts";

import type { PoliciesText, TakesPolicies } from "./policy-text.ts";

const PROGRAM = join(import.meta.dirname, "..", "speaker-main.ts");
const WELL_KNOWN: Readonly<Record<string, string>> = { "no-export": "65535:65281" };

export class Podrouter implements PeerDaemon, TakesPolicies, TellsNextHops {
  readonly name = "podrouter";
  readonly #setup: PeerSetup;
  readonly #process: JsonProcess;
  readonly #routes = new Map<string, TestRoute>();
  readonly #shutdowns = new Map<string, string>();
  readonly #passwords = new Map<string, string | undefined>();
  #policies: ReadonlyMap<string, Pick<PeerConfig, "importPolicy" | "exportPolicy">> = new Map();

  constructor(setup: PeerSetup) {
    this.#setup = setup;
    this.#process = new JsonProcess("podrouter", setup.namespace, PROGRAM);
  }

  get output(): string {
    return this.#process.output;
  }

  async start(options: StartOptions = {}): Promise<void> {
    const given: SpeakerOptions = {
      config: this.#config(options.restart === true),
      peers: this.#peers(),
      routes: this.#originated(),
    };
    this.#process.start(given);
    await this.#process.ask("listening");
  }

  async state(neighbor: string): Promise<string> {
    return this.#process.running ? (await this.status(neighbor)).state : "not running";
  }

  async lastError(neighbor: string): Promise<string> {
    return (await this.status(neighbor)).lastError?.reason ?? "";
  }

  async routes(neighbor: string, family: IpFamily): Promise<readonly SeenRoute[]> {
    const query = { view: "loc", peer: neighbor, family };
    const paths = await this.#process.ask<readonly RibPath[]>("paths", query);
    return paths.filter((path) => path.valid).map(seenPath);
  }

  nextHops(): Promise<Readonly<Record<string, readonly string[]>>> {
    return this.#process.ask("nextHops");
  }

  async routeCount(neighbor: string, family: IpFamily): Promise<number> {
    const { families } = await this.status(neighbor);
    return families.find((each) => each.family === family)?.accepted ?? 0;
  }

  async announce(routes: readonly TestRoute[]): Promise<void> {
    for (const route of routes) this.#routes.set(route.prefix, route);
    await this.#apply();
  }

  async withdraw(prefixes: readonly string[]): Promise<void> {
    for (const each of prefixes) this.#routes.delete(each);
    await this.#apply();
  }

  async setPolicies(policies: PoliciesText): Promise<void> {
    this.#policies = builtPolicies(policies);
    await this.#apply();
  }

  async refresh(neighbor: string, family: IpFamily): Promise<void> {
    void family; // All families of the session at once.
    const asked = await this.#process.ask<boolean>("refresh", neighbor);
    if (!asked) throw new Error("the speaker refuses to ask for a refresh");
  }

  async shutdown(neighbor: string, text: string): Promise<void> {
    this.#shutdowns.set(neighbor, text);
    await this.#apply();
  }

  kill(): Promise<void> {
    return this.#process.process.kill();
  }

  stop(): Promise<void> {
    return this.#process.process.stop();
  }

  /** All that `podrouter peers PEER` knows. */
  async status(neighbor: string): Promise<PeerStatus> {
    return this.#process.ask<PeerStatus>("peer", neighbor);
  }

  /** Prefixes that had a best route and lost it since the start. */
  lost(): Promise<readonly string[]> {
    return this.#process.ask("lost");
  }

  /** Changes the key of a peer while running. */
  async setPassword(neighbor: string, password: string | undefined): Promise<void> {
    this.#passwords.set(neighbor, password);
    await this.#apply();
  }

  async #apply(): Promise<void> {
    if (!this.#process.running) return;
    await this.#process.ask("setPeers", this.#peers());
    await this.#process.ask("originate", this.#originated());
  }

  #config(restarted: boolean): SpeakerConfig {
    const { as, routerId, addresses, maximumPaths = 1 } = this.#setup;
    return {
      as,
      routerId: address(routerId),
      hostName: "podrouter",
      domainName: "",
      listen: addresses.map((each) => ({ address: address(each), port: 179 })),
      clusterId: undefined,
      restarted,
      deferralSeconds: 20,
      dialsNeedPort: false,
      maximumPaths,
    };
  }

  #originated(): OriginatedRoute[] {
    return [...this.#routes.values()].map((route) => ({
      prefix: prefix(route.prefix),
      nextHop: address(route.nextHop),
      communities: (route.communities ?? []).map(communityWord),
      med: route.med,
    }));
  }

  #peers(): PeerConfig[] {
    return this.#setup.neighbors.map((neighbor) => this.#peer(neighbor));
  }

  #peer(neighbor: NeighborSetup): PeerConfig {
    const shutdown = this.#shutdowns.get(neighbor.address);
    const password = this.#passwords.has(neighbor.address)
      ? this.#passwords.get(neighbor.address)
      : neighbor.password;
    const others = this.#setup.addresses.filter((each) => each !== neighbor.localAddress);
    return {
      name: neighbor.address,
      address: address(neighbor.address),
      port: 179,
      remoteAs: neighbor.as,
      localAs: undefined,
      localAddress: address(neighbor.localAddress),
      nextHops: neighbor.extendedNextHop ? [] : others.map(address),
      nextHopsByLink: false,
      passive: neighbor.passive,
      holdSeconds: neighbor.holdSeconds,
      families: neighbor.families,
      gracefulRestart: neighbor.gracefulRestart ? restartConfig(neighbor.longLived) : undefined,
      enhancedRouteRefresh: true,
      extendedMessage: neighbor.extendedMessage,
      addPath: neighbor.addPath,
      password,
      ttlSecurity: neighbor.ttlSecurity,
      multihopTtl: 1,
      bindInterface: undefined,
      routeReflectorClient: neighbor.client,
      nextHopSelf: false,
      importPolicy: { name: "all", statements: [], defaultResult: "accept" },
      exportPolicy: this.#exportPolicy(),
      ...this.#policies.get(neighbor.address),
      maximumPrefixes: undefined,
      shutdown: shutdown === undefined ? undefined : { message: shutdown },
    };
  }

  /** What `OriginatedRoute` does not carry is set by policy, as a configuration would. */
  #exportPolicy(): Policy {
    const statements = [...this.#routes.values()].flatMap((route): PolicyStatement[] => {
      const set: PolicyActions = {
        ...(route.localPref === undefined ? {} : { localPref: route.localPref }),
        ...(route.largeCommunities === undefined
          ? {}
          : { addLargeCommunities: route.largeCommunities }),
        ...prepending(route.asPath),
      };
      if (Object.keys(set).length === 0) return [];
      const wanted = prefix(route.prefix);
      const [ge, le] = [prefixLength(wanted), prefixLength(wanted)];
      const match = { prefixes: [{ prefix: wanted, ge, le }], originated: true };
      return [{ name: route.prefix, match, set, result: "accept" }];
    });
    return { name: "export", statements, defaultResult: "accept" };
  }
}

/** As the agent would read them from its configuration file. */
function builtPolicies(policies: PoliciesText) {
  const text = JSON.stringify({
    policies: Object.values(policies).flatMap((each) => [each.import, each.export]),
    peers: Object.entries(policies).map(([address, each], index) => ({
      ...{ name: `peer-${index}`, address, remoteAs: "any" },
      ...{ import: each.import.name, export: each.export.name },
    })),
  });
  const parsed = parseConfigFile(text, "policies");
  if (!parsed.ok) throw new Error(parsed.problems.join("\n"));
  const defaults = { holdSeconds: 90, port: 179, restartSeconds: undefined, ownAddresses: [] };
  const { peers } = buildPeers(parsed.file, defaults, () => ({ ok: false, problem: "no secrets" }));
  return new Map(
    peers.map(({ address, importPolicy, exportPolicy }) => {
      return [address as string, { importPolicy, exportPolicy }];
    }),
  );
}

function restartConfig(longLived: boolean): GracefulRestartConfig {
  return {
    restartSeconds: longLived ? RESTART_SECONDS_SHORT : RESTART_SECONDS,
    notification: false,
    longLivedSeconds: longLived ? LONG_LIVED_SECONDS : undefined,
  };
}

/** `65010 65010 65010` is what a prepend can do. */
function prepending(asPath: string | undefined): PolicyActions {
  const hops = (asPath ?? "").split(" ").filter((hop) => hop !== "");
  if (hops.length === 0) return {};
  if (new Set(hops).size > 1) throw new Error(`podrouter: AS path ${asPath} of its own route`);
  return { prepend: { as: Number(hops[0]), count: hops.length } };
}

function seenPath(path: RibPath): SeenRoute {
  const { aggregator } = path;
  return seenRoute({
    prefix: path.prefix,
    nextHop: path.nextHop,
    origin: path.origin,
    asPath: path.asPath,
    med: path.med,
    localPref: path.localPref,
    communities: path.communities.map((each) => WELL_KNOWN[each] ?? each),
    largeCommunities: path.largeCommunities,
    extendedCommunities: path.extendedCommunities,
    aggregator: aggregator === undefined ? undefined : `${aggregator.as} ${aggregator.address}`,
    atomicAggregate: path.atomicAggregate,
    opaque: path.attributesOpaque.map((each) => ({ ...each, flags: each.flags & ~0x10 })),
    originatorId: path.originatorId,
    clusterList: path.clusterList,
    stale: path.stale,
  });
}

function communityWord(text: string): number {
  const [high, low] = text.split(":").map(Number);
  return high! * 65536 + low!;
}
