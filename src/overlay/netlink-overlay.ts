/**
 * The tunnels' kernel port over netlink. Translates between the kernel's words and ours and decides
 * nothing. Two sockets: one asks and changes, one listens; the latter leaves out what the former
 * caused.
 */
import {
  type LinkInfo,
  NetlinkError,
  type RouteEvent as NetlinkEvent,
  RouteNetlinkPair,
  RouteTable,
  rejectingWith,
} from "netlink-ts";
import { askAnnounced, localAddressOf, onLinkPrefixOf } from "../ip/local-address.ts";
import { prefixAddress } from "../ip/prefix.ts";
import { canSetSysctl, writeSysctlNow } from "../runtime/sysctl.ts";
import { FragileRoutes } from "./fragile-routes.ts";
import { isOurDevice } from "./names.ts";
import {
  deviceSpec,
  entryOf,
  entrySpec,
  goneEntryOf,
  goneEntrySpec,
  goneRouteSpec,
  isRepetition,
  linkOf,
  routeOf,
  routeSpec,
  ruleSpec,
  rulesOf,
  untuned,
} from "./netlink-words.ts";
import {
  type OverlayKernel,
  OverlayKernelError,
  type OverlayListener,
  type OverlayOutcome,
} from "./ports.ts";
import {
  type DeviceKind,
  type HostItem,
  type HostLink,
  OVERLAY_TABLE,
  type OverlayOperation,
} from "./types.ts";

/** No protocol of any tunnel: a device with it is refused by every kind that knows the field. */
const IMPOSSIBLE_PROTOCOL = 1;
const PROBE_NAME = "podrouter-probe";

export interface NetlinkOverlayOptions {
  /** Called around what is of a namespace: the making of each socket, what is done to a setting. */
  readonly around?: <T>(task: () => T) => T;
}

export class NetlinkOverlay implements OverlayKernel {
  readonly #sockets: RouteNetlinkPair;
  readonly #around: <T>(task: () => T) => T;
  readonly #fragile = new FragileRoutes();
  #listener: OverlayListener | undefined;

  constructor(options: NetlinkOverlayOptions = {}) {
    this.#sockets = new RouteNetlinkPair(options.around);
    this.#around = options.around ?? ((task) => task());
  }

  async open(listener: OverlayListener): Promise<void> {
    const topics = ["link", "address", "neighbour", "route", "rule", "nextHop"] as const;
    this.#listener = listener;
    await translatingErrors(async () =>
      this.#sockets.watch(topics, {
        onEvent: (event) => {
          if (this.#fragile.observe(event)) listener.onEvent({ kind: "table" });
          deliver(event, listener);
        },
        onOverrun: () => listener.onOverrun(),
        onFailure: () => listener.onFailure(),
      }),
    );
  }

  read() {
    return translatingErrors(async () => {
      const netlink = this.#sockets.asking;
      const links = (await netlink.links.list()).map((link) => this.#advertisedOf(linkOf(link)));
      const found = (await netlink.addresses.list({})).flatMap(localAddressOf);
      const addresses = await askAnnounced(found, (protocol) =>
        netlink.routes.list({ family: 6, table: RouteTable.MAIN, protocol }),
      );
      const items: HostItem[] = [];
      const ours = new Set(links.filter(isOurDevice).map(({ index }) => index));
      if (ours.size > 0) {
        for (const family of [4, 6, "bridge"] as const) {
          for (const entry of await netlink.neighbours.list({ family })) {
            if (ours.has(entry.interfaceIndex)) items.push(...entryOf(entry));
          }
        }
      }
      this.#fragile.list();
      const routes = await netlink.routes.list({ table: OVERLAY_TABLE });
      if (this.#fragile.listed(routes)) this.#listener?.onEvent({ kind: "table" });
      items.push(...routes.flatMap(routeOf));
      items.push(...rulesOf(await netlink.rules.list({})));
      return { links, addresses, items };
    });
  }

  apply(operations: readonly OverlayOperation[]): Promise<readonly OverlayOutcome[]> {
    return translatingErrors(async () => {
      const outcomes: OverlayOutcome[] = [];
      for (let at = 0; at < operations.length; ) {
        const run = runOf(operations, at);
        outcomes.push(...(await this.#applyRun(run)));
        at += run.length;
      }
      return outcomes;
    });
  }

  /** Asks for a device with a field that its kind refuses, and hears whether there is the kind. */
  supports(kind: DeviceKind): Promise<boolean> {
    return translatingErrors(async () => {
      const { links } = this.#sockets.asking;
      // A VXLAN without VNI is refused for that.
      const info: LinkInfo =
        kind === "vxlan"
          ? { kind, vxlan: {} }
          : { kind, ipTunnel: { protocol: IMPOSSIBLE_PROTOCOL } };
      try {
        await links.create({ name: PROBE_NAME, info });
      } catch (error) {
        if (!(error instanceof NetlinkError)) throw error;
        if (error.code === "EOPNOTSUPP") return false;
        if (error.code === "EINVAL" || error.code === "EEXIST") return true;
        throw error;
      }
      await links.delete(PROBE_NAME);
      return true;
    });
  }

  close(): void {
    this.#listener = undefined;
    this.#sockets.close();
  }

  #advertisedOf(link: HostLink): HostLink {
    const { name, kind } = link;
    if (kind !== "vxlan" || !isOurDevice(link)) return link;
    return { ...link, advertised: this.#around(() => canSetSysctl(acceptRa(name), "0")) };
  }

  /** What cannot be set stays; the next reading says so. */
  #takeNoAdvertisements(name: string): void {
    this.#around(() => writeSysctlNow(acceptRa(name), "0"));
  }

  /** Operations of one sort: devices one by one, items in one batch. */
  async #applyRun(run: readonly OverlayOperation[]): Promise<readonly OverlayOutcome[]> {
    const [first] = run;
    if (first === undefined) return [];
    if (first.kind !== "put" && first.kind !== "drop") return [await this.#applyToDevice(first)];
    const netlink = this.#sockets.asking;
    const changes = run.flatMap((one) => (one.kind === "put" || one.kind === "drop" ? [one] : []));
    switch (first.item.kind) {
      case "forwarding":
      case "neighbour": {
        const entries = changes.map(({ kind, item }) => ({
          kind: kind === "put" ? ("replace" as const) : ("delete" as const),
          value: kind === "put" ? entrySpec(item) : goneEntrySpec(item),
        }));
        return (await netlink.neighbours.apply(entries)).map(outcomeOf);
      }
      case "route": {
        const routes = changes.map((one) => {
          if (one.kind === "drop")
            return { kind: "delete", route: goneRouteSpec(one.item) } as const;
          return { kind: one.replaces ? "change" : "add", route: routeSpec(one.item) } as const;
        });
        return (await netlink.routes.apply(routes)).map(outcomeOf);
      }
      case "rule": {
        const rules = changes.map(({ kind, item }) => ({
          kind: kind === "put" ? ("add" as const) : ("delete" as const),
          value: ruleSpec(item),
        }));
        return (await netlink.rules.apply(rules)).map(outcomeOf);
      }
    }
  }

  async #applyToDevice(
    operation: Exclude<OverlayOperation, { readonly kind: "put" | "drop" }>,
  ): Promise<OverlayOutcome> {
    const { links } = this.#sockets.asking;
    try {
      if (operation.kind === "delete-device") {
        await links.delete(operation.link.index);
        return { ok: true };
      }
      if (operation.kind === "set-device") {
        const { mac, advertised, tuned, ...change } = operation.change;
        const linkAddress = mac === undefined ? {} : { linkAddress: mac };
        if (advertised === false) this.#takeNoAdvertisements(operation.link.name);
        const info = tuned === undefined ? {} : { info: untuned(operation.link) };
        await links.set(operation.link.index, { ...change, ...linkAddress, ...info });
        return { ok: true };
      }
      const { device } = operation;
      const spec = deviceSpec(device);
      if (device.vxlan === undefined) await links.create(spec);
      else {
        await links.create({ ...spec, up: false });
        this.#takeNoAdvertisements(device.name);
        await links.set(device.name, { up: true });
      }
      const made = await links.get(device.name);
      return made === undefined ? { ok: true } : { ok: true, made: linkOf(made) };
    } catch (error) {
      if (!(error instanceof NetlinkError)) throw error;
      return { ok: false, code: error.code, message: error.message };
    }
  }
}

function acceptRa(name: string): string {
  return `net.ipv6.conf.${name}.accept_ra`;
}

/** From `at` on: one operation about a device, or all about items of one kind and way. */
function runOf(operations: readonly OverlayOperation[], at: number): readonly OverlayOperation[] {
  const sort = (operation: OverlayOperation | undefined) =>
    operation?.kind === "put" || operation?.kind === "drop"
      ? `${operation.kind} ${operation.item.kind}`
      : undefined;
  const first = sort(operations[at]);
  let end = at + 1;
  while (first !== undefined && sort(operations[end]) === first) end++;
  return operations.slice(at, end);
}

/** What netlink-ts rejects with becomes our error; a bug stays one. */
function translatingErrors<T>(task: () => Promise<T>): Promise<T> {
  return rejectingWith(task, (...parts) => new OverlayKernelError(...parts));
}

function outcomeOf(error: NetlinkError | undefined): OverlayOutcome {
  if (error === undefined) return { ok: true };
  return { ok: false, code: error.code, message: error.message };
}

function deliver(event: NetlinkEvent, listener: OverlayListener): void {
  switch (event.kind) {
    case "link":
      listener.onEvent({ kind: "link", change: event.change, link: linkOf(event.link) });
      return;
    case "address":
      for (const { address } of localAddressOf(event.address)) {
        listener.onEvent({ kind: "address", address });
      }
      return;
    case "neighbour":
      if (isRepetition(event.neighbour)) return;
      listener.onEvent({
        kind: "entry",
        link: event.neighbour.interfaceIndex,
        change: event.change,
        item:
          event.change === "delete"
            ? goneEntryOf(event.neighbour)
            : entryOf(event.neighbour)[0]?.item,
      });
      return;
    case "route":
      if (event.route.table === OVERLAY_TABLE) listener.onEvent({ kind: "table" });
      if (event.route.table !== RouteTable.MAIN) return;
      // What is on the link of an address may be another prefix now.
      for (const { prefix } of onLinkPrefixOf(event.route)) {
        listener.onEvent({ kind: "address", address: prefixAddress(prefix) });
      }
      return;
    case "rule":
      if (event.rule.table === OVERLAY_TABLE) listener.onEvent({ kind: "table" });
      return;
    case "nextHop":
      // What matters of it has been said.
      return;
  }
}
