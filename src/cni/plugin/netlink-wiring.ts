/**
 * Pairs of links over netlink: the adapter behind {@link PodWiring}. One end is a port of
 * kube-bridge with hairpin on (a pod may reach itself by a service), the other is made right in the
 * pod's namespace; what is set inside goes over a socket that was opened in there.
 *
 * A pod's MAC address follows from its IP address (link-address.ts), so nothing is announced when
 * the address comes to another pod. Addresses are unique by the book of leases, so IPv6 does not
 * look for duplicates, which would take it a second.
 */
import { closeSync, constants, fstatSync, openSync, statSync } from "node:fs";
import {
  inNetworkNamespace,
  type Link,
  LinkFlag,
  NetlinkError,
  type Outcome,
  RouteNetlink,
  RouteTable,
  rejectingWith,
  SystemCallError,
} from "netlink-ts";
import { familyOf } from "../../ip/address.ts";
import { DEFAULT_ROUTES } from "../../ip/prefix.ts";
import { writeSysctlNow } from "../../runtime/sysctl.ts";
import { ownAddress } from "../netlink-links.ts";
import { dotted } from "../sysctls.ts";
import { POD_BRIDGE } from "../types.ts";
import type { RangeAddress } from "./address-ranges.ts";
import { decodeAlias, encodeAlias, hostLinkName } from "./attachment.ts";
import { linkAddressFor } from "./link-address.ts";
import {
  type Connected,
  type ConnectSpec,
  type HostEnd,
  type PodWiring,
  type WiredLink,
  WiringError,
} from "./wiring.ts";

export interface NetlinkWiringOptions {
  /** Called around the making of the node's socket; tests enter another namespace there. */
  readonly around?: <T>(make: () => T) => T;
}

export class NetlinkWiring implements PodWiring {
  readonly #around: <T>(make: () => T) => T;

  constructor(options: NetlinkWiringOptions = {}) {
    this.#around = options.around ?? ((make) => make());
  }

  hostEnds(): Promise<readonly HostEnd[]> {
    return this.#asking(async ({ links }) =>
      (await links.list())
        .filter(({ info }) => info?.kind === "veth")
        .map(({ name, alias }) => ({ name, lease: decodeAlias(alias) })),
    );
  }

  connect(spec: ConnectSpec): Promise<Connected> {
    return this.#asking((node) =>
      insideOf(spec.netns, async (pod, namespaceFd) => {
        const bridge = await usableBridge(node);
        const hostName = hostLinkName(spec.lease);
        const mtu = spec.mtu ?? bridge.mtu ?? MTU_DEFAULT;
        await this.#makePair(node, pod, { spec, hostName, mtu, bridge, namespaceFd });
        try {
          const [host, inside] = await Promise.all([
            finishHostEnd(node, hostName, spec),
            finishPodEnd(pod, spec, namespaceFd),
          ]);
          return { bridge: wired(bridge), host: wired(host), pod: wired(inside) };
        } catch (error) {
          await node.links.delete(hostName).catch(() => undefined);
          throw error;
        }
      }),
    );
  }

  disconnect(hostLink: string): Promise<boolean> {
    return this.#asking(async ({ links }) => removed(links.delete(hostLink)));
  }

  async removeInside(netns: string, interfaceName: string): Promise<void> {
    try {
      await translatingErrors(() =>
        insideOf(netns, async ({ links }) => {
          const link = await links.get(interfaceName);
          if (link?.info?.kind === "veth") await removed(links.delete(link.index));
        }),
      );
    } catch (error) {
      // Nothing of a pod is in there, or its path is the node's own by now: /proc/PID comes again.
      const without = ["no-namespace", "own-namespace"];
      if (error instanceof WiringError && without.includes(error.problem)) return;
      throw error;
    }
  }

  inspect(spec: Pick<ConnectSpec, "lease" | "addresses" | "netns">): Promise<readonly string[]> {
    return this.#asking(async ({ links }) => {
      const [bridge, host] = await Promise.all([
        links.get(POD_BRIDGE),
        links.get(hostLinkName(spec.lease)),
      ]);
      const problems: string[] = [];
      if (bridge === undefined) problems.push(`there is no ${POD_BRIDGE}`);
      if (host === undefined) problems.push("its link on the node is gone");
      else if (!isUp(host)) problems.push(`its link ${host.name} on the node is down`);
      else if (host.masterIndex !== bridge?.index) {
        problems.push(`its link ${host.name} is no port of ${POD_BRIDGE}`);
      }
      problems.push(...(await insideOf(spec.netns, (pod) => inspectInside(pod, spec))));
      return problems;
    });
  }

  bridgeProblem(): Promise<string | undefined> {
    return this.#asking(async (node) => {
      try {
        await usableBridge(node);
        return undefined;
      } catch (error) {
        if (error instanceof WiringError && error.problem === "no-bridge") return error.message;
        throw error;
      }
    });
  }

  /**
   * Each call has a socket of its own, which costs next to nothing: the kernel waits long after it
   * has removed a link, and pods that go at once must not wait for each other.
   */
  #asking<T>(task: (node: RouteNetlink) => Promise<T>): Promise<T> {
    return translatingErrors(async () => {
      const node = this.#around(() => new RouteNetlink());
      try {
        return await task(node);
      } finally {
        node.close();
      }
    });
  }

  async #makePair(node: RouteNetlink, pod: RouteNetlink, pair: Pair): Promise<void> {
    const { spec, hostName, mtu, bridge, namespaceFd } = pair;
    const { interfaceName } = spec.lease;
    const linkAddress = spec.linkAddress ?? linkAddressFor(spec.lease.addresses);
    await addGateways(node, bridge.index, spec.gateways);
    for (let retried = false; ; retried = true) {
      try {
        return await node.links.create({
          name: hostName,
          mtu,
          up: true,
          masterIndex: bridge.index,
          info: { kind: "veth", peer: { name: interfaceName, mtu, linkAddress, namespaceFd } },
        });
      } catch (error) {
        if (!isRefusal(error, "EEXIST") || retried) throw error;
        if ((await pod.links.get(interfaceName)) !== undefined) {
          throw new WiringError("exists", `${interfaceName} is there already: ADD without DEL`);
        }
        // Left by a call that did not come to its end, in a namespace that is no more this one.
        await removed(node.links.delete(hostName));
      }
    }
  }
}

interface Pair {
  readonly spec: ConnectSpec;
  readonly hostName: string;
  readonly mtu: number;
  readonly bridge: Link;
  readonly namespaceFd: number;
}

const MTU_DEFAULT = 1500;
const isUp = (link: Link): boolean => (link.flags & LinkFlag.UP) !== 0;

async function usableBridge({ links }: RouteNetlink): Promise<Link> {
  const bridge = await links.get(POD_BRIDGE);
  if (bridge === undefined) throw new WiringError("no-bridge", `there is no ${POD_BRIDGE} yet`);
  if (bridge.info?.kind !== "bridge") {
    throw new WiringError("no-bridge", `${POD_BRIDGE} is no bridge`);
  }
  if (!isUp(bridge)) throw new WiringError("no-bridge", `${POD_BRIDGE} is down`);
  return bridge;
}

/** Most often they are there, and nothing happens. */
async function addGateways(
  { addresses }: RouteNetlink,
  interfaceIndex: number,
  gateways: ConnectSpec["gateways"],
): Promise<void> {
  throwFirst(withoutExisting(await addresses.apply(additions(interfaceIndex, gateways))));
}

function additions(interfaceIndex: number, list: ConnectSpec["gateways"]) {
  return list.map((one) => ({ kind: "add" as const, value: ownAddress(interfaceIndex, one) }));
}

/** Says on the link whose it is, before the pod can use an address. */
async function finishHostEnd(
  { links }: RouteNetlink,
  hostName: string,
  { lease }: ConnectSpec,
): Promise<Link> {
  const alias = encodeAlias(lease);
  await links.set(hostName, {
    ...(alias === undefined ? {} : { alias }),
    info: { bridgePort: { hairpin: true } },
  });
  return found(await links.get(hostName), hostName);
}

async function finishPodEnd(
  { links, addresses, routes }: RouteNetlink,
  { lease, addresses: wanted, recorded }: ConnectSpec,
  namespaceFd: number,
): Promise<Link> {
  const { interfaceName } = lease;
  const link = found(await links.get(interfaceName), interfaceName);
  // All that it needs it gets here: another pod of the bridge shall not be its router.
  const advertisements = `net.ipv6.conf.${dotted(interfaceName)}.accept_ra`;
  inNetworkNamespace(namespaceFd, () => writeSysctlNow(advertisements, "0"));
  await links.set(link.index, { up: true });
  await recorded;
  const given = additions(link.index, wanted);
  let outcomes: readonly Outcome[] = await addresses.apply(given);
  if (outcomes.some((outcome) => outcome?.code === "EACCES")) {
    // Docker switches IPv6 off in what it makes; the Node has it on for its pods, ::1 included.
    inNetworkNamespace(namespaceFd, () => {
      for (const name of ["lo", dotted(interfaceName)]) {
        writeSysctlNow(`net.ipv6.conf.${name}.disable_ipv6`, "0");
      }
    });
    outcomes = withoutExisting(await addresses.apply(given));
  }
  throwFirst(outcomes);
  const ways = await routes.apply(
    wanted.map(({ address, gateway }) => ({
      kind: "add",
      route: {
        destination: DEFAULT_ROUTES[familyOf(address)],
        gateway,
        interfaceIndex: link.index,
      },
    })),
  );
  // Where another interface of the pod has the default route already, the first one stays.
  throwFirst(withoutExisting(ways));
  return link;
}

async function inspectInside(
  { links, addresses, routes }: RouteNetlink,
  { lease, addresses: wanted }: Pick<ConnectSpec, "lease" | "addresses">,
): Promise<readonly string[]> {
  const { interfaceName } = lease;
  const link = await links.get(interfaceName);
  if (link === undefined) return [`${interfaceName} is gone`];
  const interfaceIndex = link.index;
  const present = await addresses.list({ interfaceIndex });
  const ways = await routes.list({ table: RouteTable.MAIN });
  const hasAddress = ({ address, length }: RangeAddress) =>
    present.some((one) => one.address === `${address}/${length}`);
  // Ours, or that of an interface that came before.
  const hasRoute = ({ address, gateway }: RangeAddress) =>
    ways
      .filter(({ destination }) => destination === DEFAULT_ROUTES[familyOf(address)])
      .some((one) => one.interfaceIndex !== interfaceIndex || one.gateway === gateway);
  return [
    ...(isUp(link) ? [] : [`${interfaceName} is down`]),
    ...wanted
      .filter((one) => !hasAddress(one))
      .map(({ address }) => `${interfaceName} lacks its address ${address}`),
    ...wanted
      .filter((one) => !hasRoute(one))
      .map(({ gateway }) => `there is no default route by ${gateway} on ${interfaceName}`),
  ];
}

/** A socket inside the namespace, for the length of a task. */
async function insideOf<T>(
  netns: string,
  task: (pod: RouteNetlink, namespaceFd: number) => Promise<T>,
): Promise<T> {
  const namespaceFd = openNamespace(netns);
  try {
    const pod = inNetworkNamespace(namespaceFd, () => new RouteNetlink());
    try {
      return await task(pod, namespaceFd);
    } finally {
      pod.close();
    }
  } catch (error) {
    if (!(error instanceof SystemCallError) || error.call !== "setns") throw error;
    throw error.code === "EPERM"
      ? new WiringError("not-permitted", "the pod's namespace may not be entered: CAP_SYS_ADMIN")
      : new WiringError("no-namespace", `${netns} is no network namespace`, { cause: error });
  } finally {
    closeSync(namespaceFd);
  }
}

function openNamespace(netns: string): number {
  let fd: number;
  try {
    // Not blocking: at the path there may be anything.
    fd = openSync(netns, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    const text = `the agent cannot open the network namespace ${netns}: ${code}`;
    throw new WiringError("no-namespace", text, { cause });
  }
  const [own, other] = [statSync("/proc/self/ns/net"), fstatSync(fd)];
  if (own.dev !== other.dev || own.ino !== other.ino) return fd;
  closeSync(fd);
  throw new WiringError("own-namespace", `${netns} is the node's own network namespace`);
}

function wired({ name, linkAddress, mtu }: Link): WiredLink {
  return { name, linkAddress: linkAddress ?? "", mtu: mtu ?? MTU_DEFAULT };
}

function found(link: Link | undefined, name: string): Link {
  if (link !== undefined) return link;
  throw new WiringError("kernel", `${name} went away while it was being made`);
}

function withoutExisting(outcomes: readonly Outcome[]): readonly Outcome[] {
  return outcomes.filter((outcome) => outcome?.code !== "EEXIST");
}

function throwFirst(outcomes: readonly Outcome[]): void {
  const failed = outcomes.find((outcome) => outcome !== undefined);
  if (failed !== undefined) throw failed;
}

/** True when there was something to remove. */
async function removed(deletion: Promise<void>): Promise<boolean> {
  try {
    await deletion;
    return true;
  } catch (error) {
    if (isRefusal(error, "ENODEV")) return false;
    throw error;
  }
}

function isRefusal(error: unknown, code: string): boolean {
  return error instanceof NetlinkError && error.code === code;
}

/** What netlink-ts rejects with becomes our error; a bug stays one. */
function translatingErrors<T>(task: () => Promise<T>): Promise<T> {
  return rejectingWith(task, (_, ...said) => new WiringError("kernel", ...said));
}
