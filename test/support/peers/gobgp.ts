/** GoBGP: a TOML file for sessions; routes and questions through `gobgp` over gRPC. */
import type { IpFamily } from "../../../src/ip/address.ts";
import { daemonProcess } from "./daemon-install.ts";
import {
  familyOfText,
  LONG_LIVED_SECONDS,
  type NeighborSetup,
  type PeerDaemon,
  type PeerSetup,
  RESTART_SECONDS,
  RESTART_SECONDS_SHORT,
  routeTarget,
  routeTargetParts,
  type SeenRoute,
  type StartOptions,
  seenRoute,
  type TestRoute,
} from "./peer.ts";
import { type NamespaceProcess, writeConfig } from "./process.ts";

const ORIGINS = ["igp", "egp", "incomplete"] as const;
const ESTABLISHED = 6;
const EXTENDED_LENGTH = 0x10;
const TTL_SECURITY = "[neighbors.ttl-security.config]\n    enabled = true\n    ttl-min = 255";

export class GoBgp implements PeerDaemon {
  readonly name = "GoBGP";
  readonly #setup: PeerSetup;
  readonly #process: NamespaceProcess;
  readonly #routes = new Map<string, TestRoute>();

  constructor(setup: PeerSetup) {
    this.#setup = setup;
    this.#process = daemonProcess("gobgpd", setup);
  }

  get output(): string {
    return this.#process.output;
  }

  async start(options: StartOptions = {}): Promise<void> {
    const config = await writeConfig(this.#setup.folder, "gobgpd.toml", this.#config());
    const restart = options.restart === true ? ["-r"] : [];
    this.#process.start("gobgpd", ["-t", "toml", "-f", config, "--pprof-disable", ...restart]);
    // It answers before it has made the neighbours of its configuration.
    const asks = this.#setup.neighbors.map(({ address }) => ["neighbor", address]);
    await this.#process.ready(async () => {
      for (const words of [["global"], ...asks]) {
        if ((await this.#process.run("gobgp", ...words)).status !== 0) return false;
      }
      return true;
    });
    // Routes first, neighbours then: or a restart would tell End-of-RIB before its routes.
    await this.#add([...this.#routes.values()]);
    for (const { address } of this.#setup.neighbors)
      await this.#process.must("gobgp", "neighbor", address, "enable");
  }

  async state(neighbor: string): Promise<string> {
    const { state } = await this.#neighborJson(neighbor);
    const number = state?.session_state ?? 0;
    return number === ESTABLISHED ? "Established" : `state ${number}`;
  }

  async lastError(neighbor: string): Promise<string> {
    const text = await this.#process.run("gobgp", "neighbor", neighbor);
    const log = this.output.split("\n").filter((line) => line.includes(neighbor));
    return `${text.stdout}\n${log.join("\n")}`;
  }

  async routes(neighbor: string, family: IpFamily): Promise<readonly SeenRoute[]> {
    const text = await this.#process.must(
      ...(["gobgp", "-j", "neighbor", neighbor, "adj-in", "-a", `ipv${family}`] as const),
    );
    const rib = (JSON.parse(text) ?? {}) as Record<string, readonly GoPath[]>;
    return Object.entries(rib).flatMap(([prefix, paths]) => paths.map((p) => routeOf(prefix, p)));
  }

  async routeCount(neighbor: string, family: IpFamily): Promise<number> {
    const { afi_safis } = await this.#neighborJson(neighbor);
    const afi = family === 4 ? 1 : 2;
    return afi_safis?.find((each) => each.config.family.afi === afi)?.state.accepted ?? 0;
  }

  async announce(routes: readonly TestRoute[]): Promise<void> {
    for (const route of routes) this.#routes.set(route.prefix, route);
    if (this.#process.running) await this.#add(routes);
  }

  async withdraw(prefixes: readonly string[]): Promise<void> {
    for (const prefix of prefixes) {
      this.#routes.delete(prefix);
      if (!this.#process.running) continue;
      const family = `ipv${familyOfText(prefix)}`;
      await this.#process.must("gobgp", "global", "rib", "del", "-a", family, prefix);
    }
  }

  async refresh(neighbor: string, family: IpFamily): Promise<void> {
    const words = ["neighbor", neighbor, "softresetin", "-a", `ipv${family}`];
    await this.#process.must("gobgp", ...words);
  }

  async shutdown(neighbor: string, text: string): Promise<void> {
    // `disable`, its successor, drops the reason.
    await this.#process.must("gobgp", "neighbor", neighbor, "shutdown", "--reason", text);
  }

  kill(): Promise<void> {
    return this.#process.kill();
  }

  stop(): Promise<void> {
    return this.#process.stop();
  }

  async #add(routes: readonly TestRoute[]): Promise<void> {
    for (const route of routes) {
      const family = `ipv${familyOfText(route.prefix)}`;
      const words = ["global", "rib", "add", "-a", family, ...routeWords(route)];
      await this.#process.must("gobgp", ...words);
    }
  }

  async #neighborJson(neighbor: string): Promise<GoNeighbor> {
    const text = (await this.#process.run("gobgp", "-j", "neighbor", neighbor)).stdout;
    return text.startsWith("{") ? (JSON.parse(text) as GoNeighbor) : {};
  }

  #config(): string {
    const { as, routerId, addresses, neighbors } = this.#setup;
    return `
[global.config]
  as = ${as}
  router-id = "${routerId}"
  local-address-list = [${addresses.map((each) => `"${each}"`).join(", ")}]
${neighbors.map(neighborConfig).join("\n")}
`;
  }
}

function neighborConfig(neighbor: NeighborSetup): string {
  const receive = neighbor.addPath === "receive" || neighbor.addPath === "both";
  const send = neighbor.addPath === "send" || neighbor.addPath === "both";
  const family = (each: IpFamily) => `
  [[neighbors.afi-safis]]
    [neighbors.afi-safis.config]
      afi-safi-name = "ipv${each}-unicast"
    [neighbors.afi-safis.mp-graceful-restart.config]
      enabled = ${neighbor.gracefulRestart}
    [neighbors.afi-safis.long-lived-graceful-restart.config]
      enabled = ${neighbor.longLived}
      restart-time = ${LONG_LIVED_SECONDS}
    [neighbors.afi-safis.add-paths.config]
      receive = ${receive}
      send-max = ${send ? 8 : 0}`;
  return `
[[neighbors]]
  [neighbors.config]
    neighbor-address = "${neighbor.address}"
    peer-as = ${neighbor.as}
    admin-down = true
    ${neighbor.password === undefined ? "" : `auth-password = "${neighbor.password}"`}
  [neighbors.timers.config]
    connect-retry = 1
    hold-time = ${neighbor.holdSeconds}
    keepalive-interval = ${Math.floor(neighbor.holdSeconds / 3)}
    idle-hold-time-after-reset = 1
  [neighbors.transport.config]
    local-address = "${neighbor.localAddress}"
    passive-mode = ${neighbor.passive}
  [neighbors.graceful-restart.config]
    enabled = ${neighbor.gracefulRestart}
    restart-time = ${neighbor.longLived ? RESTART_SECONDS_SHORT : RESTART_SECONDS}
    long-lived-enabled = ${neighbor.longLived}
  ${neighbor.ttlSecurity ? TTL_SECURITY : ""}
  ${neighbor.families.map(family).join("")}
`;
}

function routeWords(route: TestRoute): string[] {
  const option = (name: string, value: string | number | undefined) =>
    value === undefined || value === "" ? [] : [name, String(value)];
  const targets = (route.extendedCommunities ?? []).map((each) => {
    const parts = routeTargetParts(each);
    // Its command line knows route targets only (`soo`: "failed to parse").
    if (parts?.kind !== "rt") throw new Error(`gobgp: extended community ${each}`);
    return `${dotted(parts.as)}:${parts.value}`;
  });
  return [
    route.prefix,
    ...option("origin", route.origin ?? "igp"),
    ...option("aspath", route.asPath?.replaceAll(" ", ",")),
    ...option("nexthop", route.nextHop),
    ...option("med", route.med),
    ...option("local-pref", route.localPref),
    ...option("community", route.communities?.join(",")),
    ...option("aggregator", route.aggregator?.replace(" ", ":")),
    ...option("large-community", route.largeCommunities?.join(",")),
    ...(targets.length === 0 ? [] : ["rt", ...targets]),
  ];
}

/** RFC 5396 asdot+: the only form of a four-octet AS that its route targets take. */
function dotted(as: number): string {
  return as > 0xffff ? `${as >>> 16}.${as & 0xffff}` : String(as);
}

function undotted(text: string): number {
  const [high, low] = text.split(".").map(Number);
  return low === undefined ? (high ?? 0) : (high ?? 0) * 65536 + low;
}

interface GoNeighbor {
  readonly state?: { readonly session_state?: number };
  readonly afi_safis?: readonly {
    readonly config: { readonly family: { readonly afi: number } };
    readonly state: { readonly accepted?: number };
  }[];
}

interface GoPath {
  readonly attrs: readonly GoAttribute[];
  readonly stale: boolean;
}

interface GoAttribute {
  readonly type: number;
  readonly flags?: number;
  readonly value?: unknown;
  readonly as_paths?: readonly {
    readonly segment_type: number;
    readonly asns: readonly number[];
  }[];
  readonly nexthop?: string;
  readonly metric?: number;
  readonly as?: number;
  readonly address?: string;
  readonly communities?: readonly number[];
}

interface GoExtended {
  readonly type: number;
  readonly subtype: number;
  readonly value: string;
}

interface GoLarge {
  readonly ASN: number;
  readonly LocalData1: number;
  readonly LocalData2: number;
}

const KNOWN = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 14, 16, 32];

function routeOf(prefix: string, path: GoPath): SeenRoute {
  const attribute = (type: number) => path.attrs.find((each) => each.type === type);
  const [aggregator, communities] = [attribute(7), attribute(8)];
  return seenRoute({
    prefix,
    origin: ORIGINS[Number(attribute(1)?.value ?? 0)] ?? "incomplete",
    asPath: (attribute(2)?.as_paths ?? [])
      .map(({ segment_type, asns }) =>
        segment_type === 1 ? `{${asns.join(" ")}}` : asns.join(" "),
      )
      .join(" "),
    nextHop: attribute(3)?.nexthop ?? attribute(14)?.nexthop,
    med: attribute(4)?.metric,
    localPref: attribute(5)?.value as number | undefined,
    atomicAggregate: attribute(6) !== undefined,
    aggregator: aggregator === undefined ? undefined : `${aggregator.as} ${aggregator.address}`,
    communities: (communities?.communities ?? []).map((each) => `${each >>> 16}:${each & 0xffff}`),
    extendedCommunities: ((attribute(16)?.value ?? []) as readonly GoExtended[]).map((each) => {
      const [as, value] = each.value.split(":");
      return routeTarget(undotted(as ?? ""), Number(value), each.subtype === 2 ? 2 : 3);
    }),
    largeCommunities: ((attribute(32)?.value ?? []) as readonly GoLarge[]).map(
      (each) => `${each.ASN}:${each.LocalData1}:${each.LocalData2}`,
    ),
    opaque: path.attrs
      .filter((each) => !KNOWN.includes(each.type))
      .map((each) => ({
        type: each.type,
        flags: (each.flags ?? 0) & ~EXTENDED_LENGTH,
        hex: Buffer.from(String(each.value ?? ""), "base64").toString("hex"),
      })),
    originatorId: attribute(9)?.value as string | undefined,
    clusterList: (attribute(10)?.value ?? []) as readonly string[],
    stale: path.stale,
  });
}
