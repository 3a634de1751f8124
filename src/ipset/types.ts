/**
 * The sets that this program owns: all pod subnets and all Node addresses of the cluster, for rules
 * that refer to them by name. Names, types and parameters are kube-router's, so that such rules
 * outlive the exchange of one program for the other. IPv6 has twins of its own.
 */
import type { IpFamily } from "../ip/address.ts";

export const POD_SUBNETS = "kube-router-pod-subnets";
export const NODE_IPS = "kube-router-node-ips";
const IPV6_PREFIX = "inet6:";
/** Where a set is made anew before it is exchanged; never referred to by anybody. */
export const TEMPORARY = "podrouter-temporary";

export type SetType = "hash:net" | "hash:ip";

/** What tells a set from others, its members apart. */
export interface SetParameters {
  readonly name: string;
  readonly type: SetType;
  readonly family: IpFamily;
  readonly hashSize: number;
  readonly maxElements: number;
}

export interface DesiredSet extends SetParameters {
  /** As the kernel writes them: `10.233.64.0/24`, `192.168.50.50`. */
  readonly members: ReadonlySet<string>;
}

/** A set of that name in the kernel. */
export interface ActualHeader {
  readonly name: string;
  /** May be any type. */
  readonly type: string;
  readonly family: IpFamily;
  readonly maxElements: number;
  /** True when members may have a timeout, have none unless told, and no other option is set. */
  readonly plain: boolean;
  readonly elements: number;
  readonly references: number;
}

export interface ActualSet extends ActualHeader {
  /** Member → whether it is as ours are: for ever, no exception. */
  readonly members: ReadonlyMap<string, boolean>;
}

/** Every set that may be ours, IPv4 first. */
export const OUR_SETS: readonly Pick<SetParameters, "name" | "type" | "family">[] = [
  { name: POD_SUBNETS, type: "hash:net", family: 4 },
  { name: NODE_IPS, type: "hash:ip", family: 4 },
  { name: IPV6_PREFIX + POD_SUBNETS, type: "hash:net", family: 6 },
  { name: IPV6_PREFIX + NODE_IPS, type: "hash:ip", family: 6 },
];
