/** Addresses, rules and neighbours, as {@link ObjectList} needs them. */
import { addressFamilyOf, type IpFamily } from "./address.ts";
import {
  decodeInterfaceAddress,
  encodeAddressFilter,
  encodeInterfaceAddress,
  type InterfaceAddress,
  type InterfaceAddressSpec,
} from "./interface-address.ts";
import {
  decodeNeighbour,
  encodeNeighbour,
  encodeNeighbourFilter,
  type Neighbour,
  type NeighbourFamily,
  type NeighbourSpec,
} from "./neighbour.ts";
import type { ObjectKind } from "./object-list.ts";
import { Rtm } from "./rtm.ts";
import { decodeRule, encodeRule, encodeRuleFilter, type Rule, type RuleSpec } from "./rule.ts";

/** Which addresses to list; everything left out matches all. */
export interface AddressFilter {
  readonly family?: IpFamily;
  readonly interfaceIndex?: number;
}

/** Which rules to list. */
export interface RuleFilter {
  /** Both unless told. */
  readonly family?: IpFamily;
}

/** Which neighbours to list: the kernel has them by family. */
export interface NeighbourFilter {
  readonly family: NeighbourFamily;
  readonly interfaceIndex?: number;
}

export const addressKind: ObjectKind<InterfaceAddress, InterfaceAddressSpec, AddressFilter> = {
  newType: Rtm.NEWADDR,
  deleteType: Rtm.DELADDR,
  getType: Rtm.GETADDR,
  encode: encodeInterfaceAddress,
  filters: ({ family, interfaceIndex = 0 }) => [
    (writer) => encodeAddressFilter(writer, family, interfaceIndex),
  ],
  decode: decodeInterfaceAddress,
  matches: ({ address, interfaceIndex }, filter) =>
    (filter.family === undefined || addressFamilyOf(address) === filter.family) &&
    (filter.interfaceIndex === undefined || interfaceIndex === filter.interfaceIndex),
};

export const ruleKind: ObjectKind<Rule, RuleSpec, RuleFilter> = {
  newType: Rtm.NEWRULE,
  deleteType: Rtm.DELRULE,
  getType: Rtm.GETRULE,
  encode: encodeRule,
  filters({ family }) {
    const families: readonly IpFamily[] = family === undefined ? [4, 6] : [family];
    return families.map((one) => (writer) => encodeRuleFilter(writer, one));
  },
  decode: decodeRule,
  matches: (rule, { family }) => family === undefined || rule.family === family,
};

export const neighbourKind: ObjectKind<Neighbour, NeighbourSpec, NeighbourFilter> = {
  newType: Rtm.NEWNEIGH,
  deleteType: Rtm.DELNEIGH,
  getType: Rtm.GETNEIGH,
  encode: encodeNeighbour,
  filters: ({ family }) => [(writer) => encodeNeighbourFilter(writer, family)],
  decode: decodeNeighbour,
  matches: (neighbour, { family, interfaceIndex }) =>
    neighbour.family === family &&
    (interfaceIndex === undefined || neighbour.interfaceIndex === interfaceIndex),
};
