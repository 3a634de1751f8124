/** What the controller needs from others: the BGP side above, the kernel below. */
import type { IpAddress } from "../ip/address.ts";
import type { LocalAddress, OnLinkPrefix } from "../ip/local-address.ts";
import type { NextHopBatch } from "../ip/next-hop-batch.ts";
import type { Prefix } from "../ip/prefix.ts";
import type { Clock, Random } from "../runtime/clock.ts";
import type { Log } from "../runtime/log.ts";
import type { GuardSettings } from "./guards.ts";
import type { OperationBatch } from "./operation-batch.ts";
import type { Topology } from "./topology.ts";
import type { Hop, KernelRoute, Link, NextHopObject } from "./types.ts";

/** A route that should be in the kernel. */
export interface DesiredRoute {
  readonly prefix: Prefix;
  /** One, or several to be used together; never empty. */
  readonly nextHops: readonly IpAddress[];
}

/**
 * The wanted routes in columns; implemented by the BGP side over its Loc-RIB, so that there is one
 * truth. The family that is asked for is that of the batch given.
 */
export interface DesiredRoutes {
  /** Prefixes whose route changed and that were not taken since. */
  readonly changed: number;
  /** Takes changed prefixes, and appends at most `max` of them with what is wanted now. */
  takeChanged(into: NextHopBatch, max: number): void;
  /** Looks up what is wanted now for the prefixes of the batch. */
  read(into: NextHopBatch): void;
  /**
   * Appends at most `max` of the wanted routes. Begins at `from`, 0 at first; gives where to go on,
   * 0 at the end. What is wanted may change in between; what stays the same is shown.
   */
  walk(into: NextHopBatch, from: number, max: number): number;
}

/** How a next hop is reached through a tunnel. */
export type TunnelWay =
  | {
      readonly ready: true;
      readonly hop: Hop;
      /** What this machine's own packets are sent from. */
      readonly source: IpAddress;
    }
  /** It will be, or is to be; `why` completes "it is reached by a tunnel, …". */
  | { readonly ready: false; readonly why: string };

/** Tunnels to next hops that no interface leads to; made and kept by others. */
export interface Tunnels {
  /** Whether they go before interfaces that lead to the next hop directly. */
  readonly first: boolean;
  /** Undefined: there is none to this next hop, and none is to come. */
  way(nextHop: IpAddress): TunnelWay | undefined;
  /**
   * Why there is none although it is a Node that needs one; completes "no tunnel leads there: …".
   * Undefined for anybody else.
   */
  whyNone(nextHop: IpAddress): string | undefined;
}

/** Why the kernel refused something, by the name of its error (`EPERM`, `ENETUNREACH`). */
export interface KernelFailure {
  readonly code: string;
  /** The kernel's words. */
  readonly message: string;
  /** It has not answered: the operation was carried out, or not. */
  readonly outcomeUnknown?: boolean;
}

/** The kernel cannot be talked to at all; an adapter throws nothing else. */
export class KernelUnavailableError extends Error {
  override readonly name = "KernelUnavailableError";
  readonly code: string;

  constructor(code: string, message: string, options?: { readonly cause?: unknown }) {
    super(message, options);
    this.code = code;
  }
}

/** A change to the main table made by somebody else; what `apply` did it answers itself. */
export interface RouteEvent {
  readonly change: "new" | "delete";
  readonly route: KernelRoute;
  /** The new one took the place of the first with the same prefix, TOS and metric. */
  readonly replaced: boolean;
}

export interface LinkEvent {
  readonly change: "new" | "delete";
  readonly link: Link;
}

export interface AddressEvent {
  readonly change: "new" | "delete";
  readonly address: LocalAddress;
}

/** What a router says to be on a link. */
export interface PrefixEvent {
  readonly change: "new" | "delete";
  readonly prefix: OnLinkPrefix;
}

/** With a next hop object that goes the IPv4 routes by it go without a word. */
export interface NextHopEvent {
  readonly change: "new" | "delete";
  readonly object: NextHopObject;
}

/** Called in the kernel's order, never from inside a call of the controller. */
export interface KernelListener {
  onRoute(event: RouteEvent): void;
  onLink(event: LinkEvent): void;
  onAddress(event: AddressEvent): void;
  onPrefix(event: PrefixEvent): void;
  onNextHop(event: NextHopEvent): void;
  /** Events were lost: nothing is known any more. */
  onOverrun(): void;
  /** The kernel's socket broke; `open` must be called again. */
  onFailure(error: KernelUnavailableError): void;
}

/** The main table and what decides about it. Every call may reject: KernelUnavailableError. */
export interface RouteKernel {
  /** Begins to listen. From here on every change is in a later dump or comes as an event. */
  open(listener: KernelListener): Promise<void>;
  /** The interfaces and addresses, these with what routers say to be on their links. */
  dumpTopology(): Promise<{
    readonly links: readonly Link[];
    readonly addresses: readonly LocalAddress[];
  }>;
  /** Next hop objects of whomever. */
  dumpNextHops(): Promise<readonly NextHopObject[]>;
  /**
   * Visits every route of the main table, both families, in slices: those of one prefix one after
   * another, in the kernel's order. What others change meanwhile can make it visit some twice, or
   * leave some out. There may be a million, so nobody but the visitor keeps one. `begin` gives the
   * visitor; it is called again where the table has to be read anew, and what was visited until
   * then does not hold.
   */
  dumpRoutes(begin: () => (route: KernelRoute) => void): Promise<void>;
  /**
   * Carries out the operations in order; the result has those that failed, by their row. The batch
   * must not be changed until then.
   */
  apply(batch: OperationBatch): Promise<ReadonlyMap<number, KernelFailure>>;
  /** Ends listening. Nothing is called back after this. */
  close(): void;
}

export interface RouteControllerOptions {
  readonly guards: GuardSettings;
  /** Full comparison with the kernel at least this often; SYNC_PERIOD_MS unless told. */
  readonly syncPeriodMs?: number;
  /** Plan and report, change nothing. */
  readonly dryRun?: boolean;
}

export interface RouteControllerDeps {
  readonly kernel: RouteKernel;
  readonly desired: DesiredRoutes;
  /** None unless given. */
  readonly tunnels?: Tunnels | undefined;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /**
   * Called when links and addresses were looked at, or a carrier came or went: this is how they
   * are now. `news`: other than before, so that neighbours may be reached now that were not, or the
   * other way round. Must not throw.
   */
  readonly onTopology?: (topology: Topology, news: boolean) => void;
}
