/** The kernel's side of the plugin as a port: pairs of links, what is in a pod's namespace. */
import type { IpAddress } from "../../ip/address.ts";
import type { RangeAddress } from "./address-ranges.ts";
import type { Lease } from "./attachment.ts";

/** Why something of a pod cannot be made or looked at. */
export type WiringProblem =
  /** There is no such namespace, or it cannot be entered. */
  | "no-namespace"
  | "not-permitted"
  /** It is the node's. */
  | "own-namespace"
  /** The interface is there already. */
  | "exists"
  /** kube-bridge is not there, or not up. */
  | "no-bridge"
  | "kernel";

export class WiringError extends Error {
  override readonly name = "WiringError";
  readonly problem: WiringProblem;

  constructor(problem: WiringProblem, message: string, options?: { readonly cause?: unknown }) {
    super(message, options);
    this.problem = problem;
  }
}

export interface ConnectSpec {
  readonly lease: Lease;
  /** The addresses of the lease, with their gateways. */
  readonly addresses: readonly RangeAddress[];
  /** What the bridge must have. */
  readonly gateways: readonly { readonly address: IpAddress; readonly length: number }[];
  readonly netns: string;
  /** Undefined: the bridge's. */
  readonly mtu: number | undefined;
  /** Undefined: one that follows from the first address. */
  readonly linkAddress: string | undefined;
  /** Settles once the lease is on disk; the pod gets its addresses no sooner. */
  readonly recorded: Promise<void>;
}

/** A link as a result names it. */
export interface WiredLink {
  readonly name: string;
  readonly linkAddress: string;
  readonly mtu: number;
}

export interface Connected {
  readonly bridge: WiredLink;
  readonly host: WiredLink;
  readonly pod: WiredLink;
}

/** A link of this node that carries our name for an attachment. */
export interface HostEnd {
  readonly name: string;
  /** What its alias says; undefined when it has none of ours. */
  readonly lease: Lease | undefined;
}

/** Every call may reject with {@link WiringError}. */
export interface PodWiring {
  /** The links of this node that may be pods'. */
  hostEnds(): Promise<readonly HostEnd[]>;
  /** All or nothing. */
  connect(spec: ConnectSpec): Promise<Connected>;
  /** Removes a pair by its end on the node; true when there was one. */
  disconnect(hostLink: string): Promise<boolean>;
  /** Removes a pod's interface from inside, as far as the namespace is still there. */
  removeInside(netns: string, interfaceName: string): Promise<void>;
  /** What is not as `connect` left it, a sentence each. */
  inspect(spec: Pick<ConnectSpec, "lease" | "addresses" | "netns">): Promise<readonly string[]>;
  /** Why no pod can be connected; undefined when they can. */
  bridgeProblem(): Promise<string | undefined>;
}
