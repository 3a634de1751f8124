/**
 * ExaBGP: keeps no table; it tells a process of ours every message as a line of JSON and takes
 * commands from it. That process only carries lines to and from a Unix socket, on which this
 * adapter listens and keeps the table that the daemon does not.
 */
import { createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { type IpFamily, parseAddress, wordOfAddress } from "../../../src/ip/address.ts";
import {
  extendedCommunityOfText,
  familyOfText,
  type NeighborSetup,
  originOfText,
  type PeerDaemon,
  type PeerSetup,
  RESTART_SECONDS,
  routeTargetParts,
  type SeenRoute,
  type StartOptions,
  seenRoute,
  type TestRoute,
} from "./peer.ts";
import { NamespaceProcess, writeConfig } from "./process.ts";

const EXTENDED_LENGTH = 0x10;

const CARRIER = `
const socket = require("node:net").connect(process.argv[2]);
process.stdin.pipe(socket);
socket.pipe(process.stdout);
socket.on("close", () => process.exit());
process.stdin.on("end", () => process.exit());
`;

export class ExaBgp implements PeerDaemon {
  readonly name = "ExaBGP";
  readonly #setup: PeerSetup;
  readonly #process: NamespaceProcess;
  readonly #routes = new Map<string, TestRoute>();
  readonly #neighbors = new Map<string, ExaNeighbor>();
  readonly #socketPath: string;
  #server: Server | undefined;
  #api: Socket | undefined;

  constructor(setup: PeerSetup) {
    this.#setup = setup;
    this.#process = new NamespaceProcess("exabgp", setup.namespace);
    this.#socketPath = join(setup.folder, "api.sock");
    for (const { address } of setup.neighbors) this.#neighbors.set(address, new ExaNeighbor());
  }

  get output(): string {
    return this.#process.output;
  }

  async start(options: StartOptions = {}): Promise<void> {
    void options; // It sets the restart bit whenever graceful restart is on.
    await this.#listen();
    const carrier = await writeConfig(this.#setup.folder, "carrier.cjs", CARRIER);
    const command = `${process.execPath} ${carrier} ${this.#socketPath}`;
    const config = await writeConfig(this.#setup.folder, "exabgp.conf", this.#config(command));
    this.#process.start("exabgp", [config], {
      env: {
        "exabgp.daemon.user": "root",
        "exabgp.api.cli": "false",
        "exabgp.api.ack": "false",
        "exabgp.tcp.bind": this.#setup.addresses.join(" "),
        "exabgp.log.level": "INFO",
      },
    });
    await this.#process.ready(async () => this.#api !== undefined);
  }

  async state(neighbor: string): Promise<string> {
    return this.#neighbor(neighbor).state;
  }

  async lastError(neighbor: string): Promise<string> {
    return this.#neighbor(neighbor).notifications.join("\n");
  }

  async routes(neighbor: string, family: IpFamily): Promise<readonly SeenRoute[]> {
    return [...this.#neighbor(neighbor).routes.values()].filter(
      (route) => familyOfText(route.prefix) === family,
    );
  }

  async routeCount(neighbor: string, family: IpFamily): Promise<number> {
    return (await this.routes(neighbor, family)).length;
  }

  async announce(routes: readonly TestRoute[]): Promise<void> {
    for (const route of routes) {
      this.#routes.set(route.prefix, route);
      for (const neighbor of this.#setup.neighbors)
        this.#command(
          `neighbor ${neighbor.address} announce route ${this.#words(route, neighbor)}`,
        );
    }
  }

  async withdraw(prefixes: readonly string[]): Promise<void> {
    for (const prefix of prefixes) {
      const route = this.#routes.get(prefix);
      this.#routes.delete(prefix);
      if (route === undefined) continue;
      for (const neighbor of this.#setup.neighbors)
        this.#command(
          `neighbor ${neighbor.address} withdraw route ${this.#words(route, neighbor)}`,
        );
    }
  }

  async refresh(neighbor: string, family: IpFamily): Promise<void> {
    this.#command(`neighbor ${neighbor} announce route-refresh ipv${family} unicast`);
  }

  async shutdown(neighbor: string, text: string): Promise<void> {
    void text; // Its teardown takes a subcode only.
    this.#command(`neighbor ${neighbor} teardown 2`);
  }

  async kill(): Promise<void> {
    await this.#process.kill();
    this.#closeApi();
  }

  async stop(): Promise<void> {
    await this.#process.stop();
    this.#closeApi();
  }

  /** With an AS path of its own a route gets no AS of ours in front: here it does. */
  #words(route: TestRoute, neighbor: NeighborSetup): string {
    const { as } = this.#setup;
    const { asPath } = route;
    if (asPath === undefined || neighbor.as === as) return routeWords(route);
    return routeWords({ ...route, asPath: `${as} ${asPath}` });
  }

  #neighbor(address: string): ExaNeighbor {
    const found = this.#neighbors.get(address);
    if (found === undefined) throw new Error(`bug: exabgp has no neighbour ${address}`);
    return found;
  }

  #command(line: string): void {
    this.#api?.write(`${line}\n`);
  }

  #closeApi(): void {
    this.#api?.destroy();
    this.#api = undefined;
    this.#server?.close();
    this.#server = undefined;
    for (const neighbor of this.#neighbors.values()) neighbor.down();
  }

  #listen(): Promise<void> {
    const server = createServer((socket) => {
      this.#api = socket;
      socket.on("error", () => socket.destroy());
      createInterface(socket).on("line", (line) => this.#take(line));
    });
    this.#server = server;
    return new Promise((resolve, reject) => {
      server.once("error", reject);
      server.listen(this.#socketPath, resolve);
    });
  }

  #take(line: string): void {
    if (!line.startsWith("{")) return;
    // Refresh events have each text in two pairs of quotes, reasons may hold control characters.
    const json = line.replaceAll(/""([\w-]+)""/g, '"$1"').replaceAll(/\p{Cc}/gu, " ");
    const event = JSON.parse(json) as ExaEvent;
    const address = event.neighbor?.address.peer;
    if (address !== undefined) this.#neighbors.get(address)?.take(event);
  }

  #config(carrier: string): string {
    const { neighbors } = this.#setup;
    return `
process carrier { run ${carrier}; encoder json; }
${neighbors.map((neighbor) => this.#neighborConfig(neighbor)).join("\n")}
`;
  }

  #neighborConfig(neighbor: NeighborSetup): string {
    const { as, routerId } = this.#setup;
    const { addPath, families } = neighbor;
    const enable = (value: boolean) => (value ? "enable" : "disable");
    const mode = { none: "disable", receive: "receive", send: "send", both: "send/receive" };
    const routes = [...this.#routes.values()].filter((route) =>
      families.includes(familyOfText(route.prefix)),
    );
    return `
neighbor ${neighbor.address} {
  router-id ${routerId};
  local-address ${neighbor.localAddress};
  local-as ${as};
  peer-as ${neighbor.as};
  hold-time ${neighbor.holdSeconds};
  passive ${neighbor.passive};
  ${neighbor.passive ? "listen 179;" : ""}
  ${neighbor.password === undefined ? "" : `md5-password "${neighbor.password}";`}
  ${neighbor.ttlSecurity ? "outgoing-ttl 255; incoming-ttl 255;" : ""}
  adj-rib-out true;
  capability {
    asn4 ${enable(neighbor.fourOctetAs)};
    route-refresh enable;
    graceful-restart ${neighbor.gracefulRestart ? RESTART_SECONDS : "disable"};
    add-path ${mode[addPath]};
    extended-message ${enable(neighbor.extendedMessage)};
    nexthop ${enable(neighbor.extendedNextHop)};
  }
  family { ${families.map((family) => `ipv${family} unicast;`).join(" ")} }
  ${neighbor.extendedNextHop ? "nexthop { ipv4 unicast ipv6; }" : ""}
  ${addPath === "none" ? "" : `add-path { ${families.map((f) => `ipv${f} unicast;`).join(" ")} }`}
  api {
    processes [ carrier ];
    neighbor-changes;
    receive { parsed; update; notification; refresh; }
    send { parsed; notification; }
  }
  static { ${routes.map((route) => `route ${this.#words(route, neighbor)};`).join("\n")} }
}`;
  }
}

/** What the events of one neighbour add up to. */
class ExaNeighbor {
  readonly routes = new Map<string, SeenRoute>();
  readonly notifications: string[] = [];
  state = "down";

  down(): void {
    this.routes.clear();
    this.state = "down";
  }

  take(event: ExaEvent): void {
    const { neighbor } = event;
    if (neighbor === undefined) return;
    if (event.type === "state") {
      if (neighbor.state === "up") this.state = "Established";
      else if (neighbor.state === "down") this.down();
      if (neighbor.reason !== undefined) this.notifications.push(neighbor.reason);
    }
    if (neighbor.notification !== undefined) {
      const { code, subcode, data } = neighbor.notification;
      const text = Buffer.from(String(data).replace(/^0x/i, ""), "hex").toString();
      this.notifications.push(`${neighbor.direction} ${code}/${subcode} ${text}`);
    }
    const update = neighbor.message?.update;
    if (update === undefined) return;
    for (const withdrawn of Object.values(update.withdraw ?? {}))
      for (const nlri of withdrawn) this.routes.delete(keyOf(nlri));
    for (const byHop of Object.values(update.announce ?? {}))
      for (const [hop, announced] of Object.entries(byHop))
        for (const nlri of announced)
          this.routes.set(keyOf(nlri), routeOf(nlri.nlri, hop, update.attribute ?? {}));
  }
}

function keyOf(nlri: ExaNlri): string {
  return `${nlri.nlri} ${nlri["path-information"] ?? ""}`;
}

function routeWords(route: TestRoute): string {
  const word = (name: string, value: string | number | undefined) =>
    value === undefined || value === "" ? "" : `${name} ${value} `;
  const list = (name: string, values: readonly string[] | undefined) =>
    values === undefined || values.length === 0 ? "" : `${name} [ ${values.join(" ")} ] `;
  const targets = route.extendedCommunities?.map((each) => {
    const parts = routeTargetParts(each);
    if (parts === undefined) return `0x${each}`;
    return `${parts.kind === "rt" ? "target" : "origin"}:${parts.as}:${parts.value}`;
  });
  return [
    `${route.prefix} next-hop ${route.nextHop} origin ${route.origin ?? "igp"} `,
    word("as-path", route.asPath === undefined ? undefined : `[ ${route.asPath} ]`),
    word("med", route.med),
    word("local-preference", route.localPref),
    list("community", route.communities),
    list("large-community", route.largeCommunities),
    list("extended-community", targets),
    route.aggregator === undefined ? "" : `aggregator ( ${route.aggregator.replace(" ", ":")} ) `,
    route.atomicAggregate === true ? "atomic-aggregate " : "",
    ...(route.opaque ?? []).map(({ type, flags, hex }) => {
      return `attribute [ 0x${type.toString(16)} 0x${(flags ?? 0xc0).toString(16)} 0x${hex} ] `;
    }),
  ].join("");
}

/** `target:4200000001L:5` (Python's old suffix), `origin:65001:0.0.0.10` in plain numbers. */
function plainCommunity(text: string): string {
  return text
    .replaceAll(/(?<=\d)L/g, "")
    .replace(/\d+\.\d+\.\d+\.\d+$/, (quad) => String(wordOfAddress(parseAddress(quad)!)));
}

interface ExaNlri {
  readonly nlri: string;
  readonly "path-information"?: string;
}

type ExaAttributes = Readonly<Record<string, unknown>>;

interface ExaEvent {
  readonly type: string;
  readonly neighbor?: {
    readonly address: { readonly peer: string };
    readonly direction?: string;
    readonly state?: string;
    readonly reason?: string;
    readonly notification?: {
      readonly code: number;
      readonly subcode: number;
      readonly data: string;
    };
    readonly message?: {
      readonly update?: {
        readonly attribute?: ExaAttributes;
        readonly announce?: Record<string, Record<string, readonly ExaNlri[]>>;
        readonly withdraw?: Record<string, readonly ExaNlri[]>;
      };
    };
  };
}

function routeOf(prefix: string, nextHop: string, attributes: ExaAttributes): SeenRoute {
  const numbers = (name: string) => (attributes[name] ?? []) as readonly (readonly number[])[];
  const extended = (attributes["extended-community"] ?? []) as readonly { string: string }[];
  const path = (attributes["as-path"] ?? []) as readonly (number | readonly number[])[];
  const set = (attributes["as-set"] ?? []) as readonly number[];
  const opaque = Object.entries(attributes).flatMap(([name, value]) => {
    const match = /^attribute-0x([0-9A-F]{2})-0x([0-9A-F]{2})$/i.exec(name);
    if (match === null) return [];
    const hex = String(value).replace(/^0x/i, "").toLowerCase();
    const flags = Number.parseInt(match[2]!, 16) & ~EXTENDED_LENGTH;
    return [{ type: Number.parseInt(match[1]!, 16), flags, hex }];
  });
  return seenRoute({
    prefix,
    nextHop,
    origin: originOfText(String(attributes["origin"] ?? "?")),
    asPath: [...path.map(String), ...(set.length > 0 ? [`{${set.join(" ")}}`] : [])].join(" "),
    med: attributes["med"] as number | undefined,
    localPref: attributes["local-preference"] as number | undefined,
    communities: numbers("community").map((each) => each.join(":")),
    largeCommunities: numbers("large-community").map((each) => each.join(":")),
    extendedCommunities: extended.map((each) => {
      return extendedCommunityOfText(plainCommunity(each.string));
    }),
    aggregator: (attributes["aggregator"] as string | undefined)?.replace(":", " "),
    atomicAggregate: attributes["atomic-aggregate"] === true,
    originatorId: attributes["originator-id"] as string | undefined,
    clusterList: (attributes["cluster-list"] ?? []) as readonly string[],
    opaque,
  });
}
