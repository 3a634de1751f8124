/**
 * Who has which address: the in-process IPAM. Pure; lease-store.ts keeps on disk what is in it.
 * An address is taken from the moment that it is picked until it is released, so that of any number
 * of calls at once no two get the same.
 */
import { familyOf, type IpAddress, type IpFamily, parseAddress } from "../../ip/address.ts";
import type { Prefix } from "../../ip/prefix.ts";
import { isJsonObject, type JsonObject } from "../../runtime/json.ts";
import { AddressRange, type RangeAddress } from "./address-ranges.ts";
import { type Attachment, attachmentKey, type Lease } from "./attachment.ts";
import { ADDRESS_TRIES_MAX, LEASES_MAX, RANGES_REMEMBERED_MAX } from "./limits.ts";

/** Why an attachment gets no address. */
export type LeaseRefusal =
  | { readonly why: "no-ranges" }
  | { readonly why: "full"; readonly family: IpFamily; readonly ranges: readonly Prefix[] }
  | { readonly why: "too-many" }
  /** An address that was asked for by name. */
  | { readonly why: "taken" | "outside"; readonly address: IpAddress };

export type Reserved =
  | { readonly ok: true; readonly lease: Lease; readonly known: boolean }
  | { readonly ok: false; readonly refusal: LeaseRefusal };

const FORMAT = 1;

export class LeaseBook {
  readonly #leases = new Map<string, Lease>();
  readonly #owners = new Map<IpAddress, string>();
  /** Of each range the address given out last; the range used last comes last. */
  readonly #last = new Map<string, IpAddress>();
  #ranges: readonly AddressRange[] = [];

  /** The node's pod CIDRs. Leases of others stay until they are released. */
  setRanges(podCidrs: readonly Prefix[]): void {
    this.#ranges = podCidrs.map((prefix) => new AddressRange(prefix));
  }

  get size(): number {
    return this.#owners.size;
  }

  leases(): readonly Lease[] {
    return [...this.#leases.values()];
  }

  find(attachment: Attachment): Lease | undefined {
    return this.#leases.get(attachmentKey(attachment));
  }

  /** The range of each address of a lease, as far as it is still one of the node's. */
  describe(lease: Lease): readonly (RangeAddress | undefined)[] {
    return lease.addresses.map((address) =>
      this.#ranges.find((range) => range.holds(address))?.at(address),
    );
  }

  /** First address of each range, with its length: what the bridge must have. */
  gateways(): readonly { readonly address: IpAddress; readonly length: number }[] {
    return this.#ranges
      .filter(({ size }) => size > 0n)
      .map(({ gateway, length }) => ({ address: gateway, length }));
  }

  /**
   * One address of each family of the ranges, all or none. An attachment that has a lease keeps it
   * as long as its addresses are of the ranges; where it gets another one, both are its own until
   * {@link settle}. `wanted` are asked for by name; `isForeign` says what others have given out.
   */
  reserve(
    attachment: Attachment,
    wanted: readonly IpAddress[] = [],
    isForeign: (address: IpAddress) => boolean = () => false,
  ): Reserved {
    const known = this.find(attachment);
    if (known !== undefined && this.describe(known).every((one) => one !== undefined)) {
      return { ok: true, lease: known, known: true };
    }
    const key = attachmentKey(attachment);
    const isTaken = (address: IpAddress) =>
      (this.#owners.get(address) ?? key) !== key || isForeign(address);
    const picked = this.#pick(wanted, isTaken);
    if (isRefusal(picked)) return { ok: false, refusal: picked };
    const lease: Lease = {
      network: attachment.network,
      containerId: attachment.containerId,
      interfaceName: attachment.interfaceName,
      addresses: picked.map(({ address }) => address),
    };
    for (const { range, address } of picked) this.#remember(range.prefix, address);
    this.#put(lease);
    return { ok: true, lease, known: false };
  }

  /** Of two leases of one attachment it has `kept`; what is in `other` alone is free. */
  settle(kept: Lease, other: Lease): void {
    for (const address of other.addresses) this.#owners.delete(address);
    this.#put(kept);
  }

  /** Why a further attachment would get no address; undefined when it would. */
  refusal(): LeaseRefusal | undefined {
    const picked = this.#pick([], (address) => this.#owners.has(address));
    return isRefusal(picked) ? picked : undefined;
  }

  /** Takes over what is known from elsewhere; false when somebody has one of its addresses. */
  adopt(lease: Lease): boolean {
    if (this.find(lease) !== undefined) return false;
    if (lease.addresses.some((address) => this.#owners.has(address))) return false;
    this.#put(lease);
    return true;
  }

  /** True when there was such a lease. */
  release(attachment: Attachment): boolean {
    const key = attachmentKey(attachment);
    const lease = this.#leases.get(key);
    if (lease === undefined) return false;
    this.#leases.delete(key);
    for (const address of lease.addresses) this.#owners.delete(address);
    return true;
  }

  /** The text of the file. */
  encode(): string {
    const head = { format: FORMAT, last: Object.fromEntries(this.#last) };
    const leases = this.leases().map((lease) => JSON.stringify(lease));
    return `${JSON.stringify(head).slice(0, -1)},"leases":[\n${leases.join(",\n")}\n]}\n`;
  }

  /** Takes everything from a file's text; false when it is none, and then nothing is taken. */
  load(text: string): boolean {
    const found = decode(text);
    if (found === undefined) return false;
    for (const [prefix, address] of found.last) this.#remember(prefix, address);
    for (const lease of found.leases) this.adopt(lease);
    return true;
  }

  #pick(
    wanted: readonly IpAddress[],
    isTaken: (address: IpAddress) => boolean,
  ): readonly RangePick[] | LeaseRefusal {
    if (this.#ranges.length === 0) return { why: "no-ranges" };
    const families = [...new Set(this.#ranges.map(({ family }) => family))];
    if (this.#owners.size + families.length > LEASES_MAX) return { why: "too-many" };
    for (const address of wanted) {
      if (!this.#ranges.some((range) => range.holds(address))) return { why: "outside", address };
      if (isTaken(address)) return { why: "taken", address };
    }
    const picks: RangePick[] = [];
    for (const family of families) {
      const ranges = this.#ranges.filter((range) => range.family === family);
      const pick = this.#pickOf(
        ranges,
        wanted.find((address) => familyOf(address) === family),
        isTaken,
      );
      if (pick === undefined) {
        return { why: "full", family, ranges: ranges.map(({ prefix }) => prefix) };
      }
      picks.push(pick);
    }
    return picks;
  }

  #pickOf(
    ranges: readonly AddressRange[],
    wanted: IpAddress | undefined,
    isTaken: (address: IpAddress) => boolean,
  ): RangePick | undefined {
    for (const range of ranges) {
      if (wanted !== undefined) {
        if (range.holds(wanted)) return { range, address: wanted };
        continue;
      }
      // Of so many addresses in a row one is free, unless others have given them out.
      const address = range.next(this.#last.get(range.prefix), isTaken, ADDRESS_TRIES_MAX);
      if (address !== undefined) return { range, address };
    }
    return undefined;
  }

  /** A node may have had any number of pod CIDRs in its life, and the file has them all. */
  #remember(range: string, address: IpAddress): void {
    this.#last.delete(range);
    this.#last.set(range, address);
    for (const oldest of this.#last.keys()) {
      if (this.#last.size <= RANGES_REMEMBERED_MAX) return;
      this.#last.delete(oldest);
    }
  }

  #put(lease: Lease): void {
    this.#leases.set(attachmentKey(lease), lease);
    for (const address of lease.addresses) this.#owners.set(address, attachmentKey(lease));
  }
}

interface RangePick {
  readonly range: AddressRange;
  readonly address: IpAddress;
}

function isRefusal(picked: readonly RangePick[] | LeaseRefusal): picked is LeaseRefusal {
  return "why" in picked;
}

function decode(text: string):
  | {
      readonly last: readonly (readonly [string, IpAddress])[];
      readonly leases: readonly Lease[];
    }
  | undefined {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!isJsonObject(json) || json["format"] !== FORMAT || !Array.isArray(json["leases"])) {
    return undefined;
  }
  const leases = json["leases"].map(leaseOf);
  if (!leases.every((lease) => lease !== undefined)) return undefined;
  const last = isJsonObject(json["last"]) ? Object.entries(json["last"]) : [];
  return {
    leases,
    last: last.flatMap(([prefix, value]) => {
      const address = typeof value === "string" ? parseAddress(value) : undefined;
      return address === undefined ? [] : [[prefix, address] as const];
    }),
  };
}

function leaseOf(json: unknown): Lease | undefined {
  if (!isJsonObject(json)) return undefined;
  const { network, containerId, interfaceName } = json as JsonObject;
  const list = json["addresses"];
  if (typeof network !== "string" || typeof containerId !== "string") return undefined;
  if (typeof interfaceName !== "string" || !Array.isArray(list)) return undefined;
  const addresses = list.map((one: unknown) =>
    typeof one === "string" ? parseAddress(one) : undefined,
  );
  if (addresses.length === 0 || !addresses.every((one) => one !== undefined)) return undefined;
  return { network, containerId, interfaceName, addresses };
}
