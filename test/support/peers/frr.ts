/**
 * FRR's bgpd, without kernel routes (`--no_kernel`); this machine's without zebra (`--no_zebra`),
 * too, so that to it every next hop counts as reachable. Told and asked with vtysh over a socket in
 * its own folder.
 */
import { existsSync } from "node:fs";
import { chmod, rm } from "node:fs/promises";
import { join } from "node:path";
import { FAMILIES, type IpFamily } from "../../../src/ip/address.ts";
import { until } from "../shell.ts";
import { daemonProcess, NEWER_ASKED } from "./daemon-install.ts";
import { nextHopLine, OWN_TAG, removalLines, routeMapLines, routeMapName } from "./frr-policy.ts";
import { type FrrPath, routeOf, splitJson, usedNextHops } from "./frr-show.ts";
import {
  familyOfText,
  LONG_LIVED_SECONDS,
  type NeighborSetup,
  type PeerDaemon,
  type PeerSetup,
  RESTART_SECONDS,
  RESTART_SECONDS_SHORT,
  routeTargetParts,
  type SeenRoute,
  type StartOptions,
  type TellsNextHops,
  type TestRoute,
} from "./peer.ts";
import type { PoliciesText, TakesPolicies } from "./policy-text.ts";
import { type NamespaceProcess, writeConfig } from "./process.ts";

const BGPD = "/usr/lib/frr/bgpd";
const ZEBRA = "/usr/lib/frr/zebra";
/** Each run has a folder there that is left when it is killed: these go with the namespace. */
const OWN_TMP = 'mkdir -p /var/tmp/frr && mount -t tmpfs tmpfs /var/tmp/frr && exec "$0" "$@"';
/** Or it writes all that it is told into the history of whoever runs the tests. */
const VTYSH = ["env", "VTYSH_HISTFILE=/dev/null", "vtysh"] as const;
/**
 * Newer ones answer an OPEN with Cease where IPv6 is agreed and they know no IPv6 address of their
 * own; of addresses they know by zebra alone.
 */
const WITH_ZEBRA = NEWER_ASKED !== undefined;
/** What is between them bgpd takes in at once, as from a file: line by line it takes for ever. */
const BATCH = { begin: "XFRR_start_configuration", end: "XFRR_end_configuration" } as const;

export class Frr implements PeerDaemon, TakesPolicies, TellsNextHops {
  readonly name = "FRR";
  readonly #setup: PeerSetup;
  readonly #process: NamespaceProcess;
  readonly #zebra: NamespaceProcess;
  readonly #routes = new Map<string, TestRoute>();
  #policies: PoliciesText = {};

  constructor(setup: PeerSetup) {
    this.#setup = setup;
    this.#process = daemonProcess("frr-bgpd", setup);
    this.#zebra = daemonProcess("frr-zebra", setup);
  }

  get output(): string {
    return this.#process.output;
  }

  async start(options: StartOptions = {}): Promise<void> {
    void options; // Graceful restart with forwarding state kept is configuration here.
    const { folder } = this.#setup;
    const routes = [...this.#routes.values()].flatMap((route) => this.#routeLines(route));
    const config = await writeConfig(
      folder,
      "bgpd.conf",
      [...this.#config(), ...routes, ...this.#policyLines()].join("\n"),
    );
    const common = (name: string) => [
      ...["--vty_socket", folder, "-i", `${folder}/${name}.pid`, "-z", `${folder}/zserv.api`],
    ];
    if (WITH_ZEBRA) {
      // It gives up being root for a user of its own, which must get at its files.
      await chmod(folder, 0o777);
      const quiet = await writeConfig(folder, "zebra.conf", "log stdout errors\n");
      await chmod(quiet, 0o644);
      this.#zebra.start("sh", ["-c", OWN_TMP, ZEBRA, "-f", quiet, ...common("zebra")]);
      await this.#zebra.ready(async () => existsSync(join(folder, "zserv.api")));
    }
    this.#process.start("sh", [
      ...["-c", OWN_TMP, BGPD, "-f", config, ...common("bgpd")],
      ...["--skip_runas", "-u", "root", "-g", "root"],
      ...["--no_kernel", ...(WITH_ZEBRA ? [] : ["--no_zebra"])],
    ]);
    await this.#process.ready(async () => {
      return (await this.#try("show bgp summary json")).trim().startsWith("{");
    });
  }

  async state(neighbor: string): Promise<string> {
    return (await this.#neighborJson(neighbor)).bgpState ?? "unknown";
  }

  async lastError(neighbor: string): Promise<string> {
    return JSON.stringify(await this.#neighborJson(neighbor));
  }

  async routes(neighbor: string, family: IpFamily): Promise<readonly SeenRoute[]> {
    const text = await this.#show(`show bgp ipv${family} unicast json`);
    const listed = (JSON.parse(text) as { routes: Record<string, unknown> }).routes;
    const commands = Object.keys(listed).map(
      (each) => `show bgp ipv${family} unicast ${each} json`,
    );
    if (commands.length === 0) return [];
    const details = await this.#show(...commands);
    return splitJson(details).flatMap((detail) => {
      const { prefix, paths } = detail as { prefix: string; paths: readonly FrrPath[] };
      return paths.filter((path) => path.peer?.peerId === neighbor).map((p) => routeOf(prefix, p));
    });
  }

  async nextHops(): Promise<Readonly<Record<string, readonly string[]>>> {
    const shows = FAMILIES.map((family) => this.#show(`show bgp ipv${family} unicast json`));
    const [ipv4, ipv6] = await Promise.all(shows);
    return { ...usedNextHops(ipv4!), ...usedNextHops(ipv6!) };
  }

  async routeCount(neighbor: string, family: IpFamily): Promise<number> {
    const { addressFamilyInfo } = await this.#neighborJson(neighbor);
    return addressFamilyInfo?.[`ipv${family}Unicast`]?.acceptedPrefixCounter ?? 0;
  }

  async announce(routes: readonly TestRoute[]): Promise<void> {
    // The route map of a network that is there is not read again.
    const known = routes.filter(({ prefix }) => this.#routes.has(prefix));
    if (known.length > 0) await this.withdraw(known.map(({ prefix }) => prefix));
    for (const route of routes) this.#routes.set(route.prefix, route);
    if (!this.#process.running) return;
    await this.#configure(routes.flatMap((route) => this.#routeLines(route)));
  }

  async withdraw(prefixes: readonly string[]): Promise<void> {
    const gone = prefixes.filter((prefix) => this.#routes.delete(prefix));
    if (!this.#process.running) return;
    await this.#coalesced();
    await this.#configure([
      `router bgp ${this.#setup.as}`,
      ...gone.flatMap((prefix) => [
        `address-family ipv${familyOfText(prefix)} unicast`,
        `no network ${prefix}`,
        "exit-address-family",
      ]),
      "exit",
      ...gone.map((prefix) => `no route-map ${mapName(prefix)}`),
    ]);
  }

  async setPolicies(policies: PoliciesText): Promise<void> {
    const old = removalLines(this.#policyLines());
    this.#policies = policies;
    if (this.#process.running) await this.#configure([...this.#policyLines(), ...old]);
  }

  async refresh(neighbor: string, family: IpFamily): Promise<void> {
    await this.#show(`clear bgp ipv${family} unicast ${neighbor} in`);
  }

  async shutdown(neighbor: string, text: string): Promise<void> {
    await this.#configure([
      `router bgp ${this.#setup.as}`,
      `neighbor ${neighbor} shutdown message ${text}`,
      "exit",
    ]);
  }

  async kill(): Promise<void> {
    await this.#process.kill();
    await this.#zebra.kill();
    await rm(join(this.#setup.folder, "zserv.api"), { force: true });
  }

  async stop(): Promise<void> {
    await this.#process.stop();
    await this.#zebra.stop();
  }

  #vtysh(commands: readonly string[]): [string, ...string[]] {
    return [
      ...VTYSH,
      "-d",
      "bgpd",
      "--vty_socket",
      this.#setup.folder,
      ...commands.flatMap((each) => ["-c", each]),
    ];
  }

  async #try(command: string): Promise<string> {
    return (await this.#process.run(...this.#vtysh([command]))).stdout;
  }

  #show(...commands: string[]): Promise<string> {
    return this.#process.must(...this.#vtysh(commands));
  }

  /**
   * Waits until no group of neighbours waits for more to join it (1.1 s after a session stands).
   * Until then bgpd 8.4 keeps changes for the walk over its table at the end of that wait, but a
   * ROUTE-REFRESH, BIRD's BoRR included, makes it walk earlier as well. A route that was told then
   * and is withdrawn before the wait ends is no longer in the table at its end: the withdrawal is
   * never sent, and the route stays among those that bgpd says it has advertised.
   */
  async #coalesced(): Promise<void> {
    const asks = ([4, 6] as const).map((family) => `show bgp ipv${family} unicast update-groups`);
    let groups = "";
    await until(
      () => `FRR coalesces its groups no longer; they are ${groups}`,
      async () => {
        groups = await this.#show(...asks);
        return !/^ *Coalesce Time: \d+\(Running\)/m.test(groups);
      },
    );
  }

  async #configure(lines: readonly string[]): Promise<void> {
    await this.#show("configure terminal", BATCH.begin, ...lines, BATCH.end, "end");
  }

  async #neighborJson(neighbor: string): Promise<FrrNeighbor> {
    const all = JSON.parse(await this.#show("show bgp neighbors json")) as Record<
      string,
      FrrNeighbor
    >;
    return all[neighbor] ?? {};
  }

  #config(): string[] {
    const { as, routerId, neighbors, maximumPaths = 1 } = this.#setup;
    const graceful = neighbors.some((neighbor) => neighbor.gracefulRestart);
    const longLived = neighbors.some((neighbor) => neighbor.longLived);
    const seconds = longLived ? RESTART_SECONDS_SHORT : RESTART_SECONDS;
    return [
      "frr defaults traditional",
      "hostname frr",
      "log stdout",
      "bgp route-map delay-timer 0",
      `router bgp ${as}`,
      `bgp router-id ${routerId}`,
      "no bgp ebgp-requires-policy",
      "no bgp default ipv4-unicast",
      "no bgp network import-check",
      // The best path does not depend on the order in which paths came.
      "bgp deterministic-med",
      "bgp bestpath compare-routerid",
      ...(maximumPaths > 1 ? ["bgp bestpath as-path multipath-relax"] : []),
      // What is reflected goes through route maps like all else.
      "bgp route-reflector allow-outbound-policy",
      // bgpd 8.4.4 takes an UPDATE for a duplicate that differs in whether MED is there.
      "no bgp suppress-duplicates",
      // RFC 9774, by default in newer ones.
      ...(NEWER_ASKED === undefined ? [] : ["no bgp reject-as-sets"]),
      ...(graceful
        ? [
            "bgp graceful-restart",
            "bgp graceful-restart preserve-fw-state",
            `bgp graceful-restart restart-time ${seconds}`,
          ]
        : ["bgp graceful-restart-disable"]),
      ...(longLived ? [`bgp long-lived-graceful-restart stale-time ${LONG_LIVED_SECONDS}`] : []),
      ...neighbors.flatMap((neighbor) => neighborLines(neighbor)),
      ...([4, 6] as const).flatMap((family) => [
        `address-family ipv${family} unicast`,
        `maximum-paths ${maximumPaths}`,
        `maximum-paths ibgp ${maximumPaths}`,
        ...neighbors
          .filter((neighbor) => neighbor.families.includes(family))
          .flatMap((neighbor) => this.#activation(neighbor, family)),
        "exit-address-family",
      ]),
      "exit",
      ...FAMILIES.flatMap((family) => [
        `route-map NEXT-HOP-${family} permit 10`,
        nextHopLine(family, this.#own(family)),
        "exit",
      ]),
    ];
  }

  /** Route maps by the policies' names: of other policies, others. */
  #policyLines(): string[] {
    const all = Object.entries(this.#policies);
    if (all.length === 0) return [];
    return FAMILIES.flatMap((family) => [
      ...all.flatMap(([, policies]) => routeMapLines(policies, { family, own: this.#own(family) })),
      `router bgp ${this.#setup.as}`,
      `address-family ipv${family} unicast`,
      ...all.flatMap(([neighbor, policies]) => [
        `neighbor ${neighbor} route-map ${routeMapName(policies.import, family)} in`,
        `neighbor ${neighbor} route-map ${routeMapName(policies.export, family)} out`,
      ]),
      "exit-address-family",
      "exit",
    ]);
  }

  #own(family: IpFamily): string {
    return this.#setup.addresses.find((address) => familyOfText(address) === family) ?? "";
  }

  /**
   * Without zebra bgpd knows no interface, so over a session of the other family it has no address
   * of its own: to an external peer, where it insists on one, it needs help.
   */
  #activation(neighbor: NeighborSetup, family: IpFamily): string[] {
    const { address, addPath, as, extendedNextHop } = neighbor;
    const foreign = familyOfText(address) !== family && !extendedNextHop;
    return [
      `neighbor ${address} activate`,
      ...(neighbor.client ? [`neighbor ${address} route-reflector-client`] : []),
      ...(addPath === "send" || addPath === "both"
        ? [`neighbor ${address} addpath-tx-all-paths`]
        : []),
      ...(addPath === "none" || addPath === "send"
        ? [`neighbor ${address} disable-addpath-rx`]
        : []),
      ...(foreign && as !== this.#setup.as
        ? [`neighbor ${address} route-map NEXT-HOP-${family} out`]
        : []),
    ];
  }

  #routeLines(route: TestRoute): string[] {
    const family = familyOfText(route.prefix);
    const map = mapName(route.prefix);
    return [
      `route-map ${map} permit 10`,
      ...setLines(route),
      `set tag ${OWN_TAG}`,
      "exit",
      `router bgp ${this.#setup.as}`,
      `address-family ipv${family} unicast`,
      `network ${route.prefix} route-map ${map}`,
      "exit-address-family",
      "exit",
    ];
  }
}

function neighborLines(neighbor: NeighborSetup): string[] {
  const { address } = neighbor;
  return [
    `neighbor ${address} remote-as ${neighbor.as}`,
    `neighbor ${address} update-source ${neighbor.localAddress}`,
    `neighbor ${address} advertisement-interval 0`,
    `neighbor ${address} timers connect 1`,
    `neighbor ${address} timers ${Math.floor(neighbor.holdSeconds / 3)} ${neighbor.holdSeconds}`,
    ...(neighbor.ttlSecurity
      ? [`neighbor ${address} ttl-security hops 1`]
      : [`neighbor ${address} disable-connected-check`]),
    ...(neighbor.passive ? [`neighbor ${address} passive`] : []),
    ...(neighbor.password === undefined
      ? []
      : [`neighbor ${address} password ${neighbor.password}`]),
    ...(neighbor.extendedNextHop ? [`neighbor ${address} capability extended-nexthop`] : []),
    ...(neighbor.fourOctetAs ? [] : [`neighbor ${address} dont-capability-negotiate`]),
  ];
}

function mapName(prefix: string): string {
  return `R-${prefix.replaceAll(/[^0-9a-f]/g, "-")}`;
}

/** The next hop is set though it is bgpd's own, see `#activation`; but not one of RFC 8950. */
function setLines(route: TestRoute): string[] {
  const targets = (kind: "rt" | "soo") =>
    (route.extendedCommunities ?? []).flatMap((each) => {
      const parts = routeTargetParts(each);
      return parts?.kind === kind ? [`${parts.as}:${parts.value}`] : [];
    });
  const line = (words: string, value: string | number | undefined) =>
    value === undefined || value === "" ? [] : [`${words} ${value}`];
  const family = familyOfText(route.nextHop);
  return [
    ...line("set origin", route.origin ?? "igp"),
    ...line("set as-path prepend", route.asPath),
    ...line("set metric", route.med),
    ...line("set local-preference", route.localPref),
    ...line("set community", route.communities?.join(" ")),
    ...line("set large-community", route.largeCommunities?.join(" ")),
    ...line("set extcommunity rt", targets("rt").join(" ")),
    ...line("set extcommunity soo", targets("soo").join(" ")),
    ...line("set aggregator as", route.aggregator),
    ...(route.atomicAggregate === true ? ["set atomic-aggregate"] : []),
    ...(familyOfText(route.prefix) === family ? [nextHopLine(family, route.nextHop)] : []),
  ];
}

interface FrrNeighbor {
  readonly bgpState?: string;
  readonly addressFamilyInfo?: Record<string, { readonly acceptedPrefixCounter?: number }>;
}
