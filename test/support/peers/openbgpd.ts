/**
 * OpenBGPD (portable). It chroots below /run, which the package leaves to systemd to make: here
 * it gets a /run of its own, in the mount namespace that `ip netns exec` makes anyway.
 */
import { join } from "node:path";
import type { IpFamily } from "../../../src/ip/address.ts";
import { must, run } from "../shell.ts";
import {
  extendedCommunityOfText,
  type NeighborSetup,
  originOfText,
  type PeerDaemon,
  type PeerSetup,
  routeTargetParts,
  type SeenRoute,
  type StartOptions,
  seenRoute,
  type TestRoute,
} from "./peer.ts";
import { NamespaceProcess, writeConfig } from "./process.ts";

const ENTER = 'mount -t tmpfs tmpfs /run && mkdir /run/openbgpd && exec bgpd -d -v -f "$1"';

export class OpenBgpd implements PeerDaemon {
  readonly name = "OpenBGPD";
  readonly #setup: PeerSetup;
  readonly #process: NamespaceProcess;
  readonly #routes = new Map<string, TestRoute>();
  readonly #socket: string;

  constructor(setup: PeerSetup) {
    this.#setup = setup;
    this.#process = new NamespaceProcess("openbgpd", setup.namespace);
    this.#socket = join(setup.folder, "bgpd.sock");
  }

  get output(): string {
    return this.#process.output;
  }

  async start(options: StartOptions = {}): Promise<void> {
    void options; // It has no way to be told of a restart.
    await this.#replaceLoopback();
    const config = await writeConfig(this.#setup.folder, "bgpd.conf", this.#config());
    this.#process.start("sh", ["-c", ENTER, "sh", config]);
    await this.#process.ready(async () => (await this.#try("show", "neighbor")).status === 0);
  }

  async state(neighbor: string): Promise<string> {
    return (await this.#neighborJson(neighbor)).state ?? "unknown";
  }

  async lastError(neighbor: string): Promise<string> {
    const shown = await this.#try("show", "neighbor", neighbor);
    const log = this.output.split("\n").filter((line) => line.includes(neighbor));
    return `${shown.stdout}\n${log.join("\n")}`;
  }

  async routes(neighbor: string, family: IpFamily): Promise<readonly SeenRoute[]> {
    const words = ["show", "rib", "detail", family === 4 ? "inet" : "inet6", "neighbor", neighbor];
    const rib = JSON.parse(await this.#ask("-j", ...words)) as { rib?: readonly OpenPath[] };
    return (rib.rib ?? []).map(routeOf);
  }

  async routeCount(neighbor: string, family: IpFamily): Promise<number> {
    void family; // One counter for all families; the callers use one family at a time.
    const { stats } = await this.#neighborJson(neighbor);
    return stats?.prefixes?.received ?? 0;
  }

  async announce(routes: readonly TestRoute[]): Promise<void> {
    for (const route of routes) this.#routes.set(route.prefix, route);
    await this.#reload();
  }

  async withdraw(prefixes: readonly string[]): Promise<void> {
    for (const prefix of prefixes) this.#routes.delete(prefix);
    await this.#reload();
  }

  async refresh(neighbor: string, family: IpFamily): Promise<void> {
    void family; // All families of the neighbour at once.
    await this.#ask("neighbor", neighbor, "refresh");
  }

  async shutdown(neighbor: string, text: string): Promise<void> {
    await this.#ask("neighbor", neighbor, "down", text);
  }

  kill(): Promise<void> {
    return this.#process.kill();
  }

  stop(): Promise<void> {
    return this.#process.stop();
  }

  /**
   * For next hops of the session's other family the portable version takes the first address of
   * the system: ::1 or 127.0.0.1; without any it ends with "nexthop_cmp: unknown af". So its
   * loopback gets better ones.
   */
  async #replaceLoopback(): Promise<void> {
    const { addresses } = this.#setup;
    for (const old of ["::1/128", "127.0.0.1/8"])
      await this.#process.run("ip", "addr", "del", old, "dev", "lo");
    for (const own of addresses)
      await this.#process.must("ip", "addr", "replace", own, "dev", "lo");
  }

  #try(...words: string[]): ReturnType<typeof run> {
    return run("bgpctl", ["-s", this.#socket, ...words]);
  }

  #ask(...words: string[]): Promise<string> {
    return must("bgpctl", ["-s", this.#socket, ...words]);
  }

  async #reload(): Promise<void> {
    if (!this.#process.running) return;
    await writeConfig(this.#setup.folder, "bgpd.conf", this.#config());
    await this.#ask("reload");
  }

  async #neighborJson(neighbor: string): Promise<OpenNeighbor> {
    const text = await this.#ask("-j", "show", "neighbor", neighbor);
    return (JSON.parse(text) as { neighbors: readonly OpenNeighbor[] }).neighbors[0] ?? {};
  }

  #config(): string {
    const { as, routerId, addresses, neighbors } = this.#setup;
    const routes = [...this.#routes.values()];
    return `
AS ${as}
router-id ${routerId}
socket "${this.#socket}"
fib-update no
connect-retry 1
${addresses.map((address) => `listen on ${address}`).join("\n")}
${routes.map((route) => `network ${route.prefix} set { ${setWords(route)} }`).join("\n")}
${neighbors.map(neighborConfig).join("\n")}
allow from any
allow to any
`;
  }
}

function neighborConfig(neighbor: NeighborSetup): string {
  const { addPath, families } = neighbor;
  const yes = (value: boolean) => (value ? "yes" : "no");
  const announce = (family: IpFamily) =>
    `announce IPv${family} ${families.includes(family) ? "unicast" : "none"}`;
  return `
neighbor ${neighbor.address} {
  remote-as ${neighbor.as}
  local-address ${neighbor.localAddress}
  ${neighbor.passive ? "passive" : ""}
  ${announce(4)}
  ${announce(6)}
  announce restart ${yes(neighbor.gracefulRestart)}
  holdtime ${neighbor.holdSeconds}
  announce enhanced refresh yes
  ttl-security ${yes(neighbor.ttlSecurity)}
  announce as-4byte ${yes(neighbor.fourOctetAs)}
  announce add-path recv ${yes(addPath === "receive" || addPath === "both")}
  announce add-path send ${addPath === "send" || addPath === "both" ? "all" : "no"}
  ${neighbor.password === undefined ? "" : `tcp md5sig password ${neighbor.password}`}
}`;
}

function setWords(route: TestRoute): string {
  const word = (name: string, value: string | number | undefined) =>
    value === undefined ? [] : [`${name} ${value}`];
  return [
    `origin ${route.origin ?? "igp"}`,
    ...word("metric", route.med),
    ...word("localpref", route.localPref),
    `nexthop ${route.nextHop}`,
    ...(route.communities ?? []).map((each) => `community ${each}`),
    ...(route.largeCommunities ?? []).map((each) => `large-community ${each}`),
    ...(route.extendedCommunities ?? []).map((each) => {
      const parts = routeTargetParts(each);
      if (parts === undefined) throw new Error(`openbgpd: extended community ${each}`);
      return `ext-community ${parts.kind} ${parts.as}:${parts.value}`;
    }),
  ].join(" ");
}

interface OpenNeighbor {
  readonly state?: string;
  readonly stats?: { readonly prefixes?: { readonly received: number } };
}

interface OpenPath {
  readonly prefix: string;
  readonly aspath: string;
  readonly exit_nexthop: string;
  readonly origin: string;
  readonly metric: number;
  readonly localpref: number;
  readonly stale?: boolean;
  readonly communities?: readonly string[];
  readonly extended_communities?: readonly string[];
  readonly large_communities?: readonly string[];
  readonly attributes?: readonly OpenAttribute[];
}

interface OpenAttribute {
  readonly type: string;
  readonly flags: Readonly<Record<"partial" | "transitive" | "optional", boolean>>;
  readonly length?: number;
  readonly data?: string;
  readonly AS?: number;
  readonly router_id?: string;
  readonly originator?: string;
  readonly cluster_list?: readonly string[];
}

function routeOf(path: OpenPath): SeenRoute {
  const attributes = path.attributes ?? [];
  const attribute = (type: string) => attributes.find((each) => each.type.startsWith(type));
  const aggregator = attribute("Aggregator");
  return seenRoute({
    prefix: path.prefix,
    origin: originOfText(path.origin),
    asPath: path.aspath.replaceAll(/\{ *([^}]*?) *\}/g, "{$1}"),
    nextHop: path.exit_nexthop,
    // It shows 0 for an absent MED.
    med: path.metric === 0 ? undefined : path.metric,
    localPref: path.localpref,
    communities: path.communities ?? [],
    largeCommunities: path.large_communities ?? [],
    extendedCommunities: (path.extended_communities ?? []).map(extendedCommunityOfText),
    aggregator: aggregator === undefined ? undefined : `${aggregator.AS} ${aggregator.router_id}`,
    atomicAggregate: attribute("Atomic Aggregate") !== undefined,
    opaque: attributes.flatMap(({ type, flags, data = "" }) => {
      const unknown = /^Unknown Attribute #(\d+)$/.exec(type);
      if (unknown === null) return [];
      const { optional, transitive, partial } = flags;
      const bits = (optional ? 0x80 : 0) | (transitive ? 0x40 : 0) | (partial ? 0x20 : 0);
      return [{ type: Number(unknown[1]), flags: bits, hex: data }];
    }),
    originatorId: attribute("Originator")?.originator,
    clusterList: attribute("Cluster")?.cluster_list ?? [],
    stale: path.stale === true,
  });
}
