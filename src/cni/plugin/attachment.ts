/**
 * What is written on the node's end of a pod's pair of links: whose it is, in its alias. The link
 * lives exactly as long as the pod's namespace, so the links are the truth about who has which
 * address; the file of leases is what is known of those that are being made. Pure.
 *
 *   alias: podrouter NETWORK CONTAINER-ID INTERFACE ADDRESS[,ADDRESS]
 */
import { createHash } from "node:crypto";
import { type IpAddress, parseAddress } from "../../ip/address.ts";
import type { Owner } from "./request.ts";

/** An interface of a container, in a network. */
export interface Attachment extends Owner {
  readonly network: string;
}

/** An attachment with the addresses that it has. */
export interface Lease extends Attachment {
  /** One or two, of different families, in the order of the Node's pod CIDRs. */
  readonly addresses: readonly IpAddress[];
}

const MARK = "podrouter";
/** What the kernel holds, less its NUL. */
const ALIAS_BYTES_MAX = 255;
const NAME_START = "veth";
const NAME_HEX = 11;

/** The same for the same attachment; two of different ones meet once in 2^44. */
export function hostLinkName({ network, containerId, interfaceName }: Attachment): string {
  const hash = createHash("sha256").update(`${network}/${containerId}/${interfaceName}`);
  return `${NAME_START}${hash.digest("hex").slice(0, NAME_HEX)}`;
}

export function attachmentKey({ network, containerId, interfaceName }: Attachment): string {
  return `${network}/${containerId}/${interfaceName}`;
}

/** Undefined when it would not fit: such a lease stands in the file alone. */
export function encodeAlias(lease: Lease): string | undefined {
  const { network, containerId, interfaceName, addresses } = lease;
  const text = [MARK, network, containerId, interfaceName, addresses.join(",")].join(" ");
  return Buffer.byteLength(text) <= ALIAS_BYTES_MAX ? text : undefined;
}

/** The lease that an alias speaks of; undefined for what is none of ours. */
export function decodeAlias(alias: string | undefined): Lease | undefined {
  const words = alias?.split(" ") ?? [];
  const [mark, network, containerId, interfaceName, list] = words;
  if (words.length !== 5 || mark !== MARK || !network || !containerId || !interfaceName) {
    return undefined;
  }
  const addresses = list!.split(",").map(parseAddress);
  if (!addresses.every((address) => address !== undefined)) return undefined;
  return { network, containerId, interfaceName, addresses };
}
