/**
 * What should be in the sets, kept up to date by what changes: a Node that comes or goes costs its
 * own members. `desiredSets` says what that is; this is the same with less work, and where it is
 * more than members (sizes, refused members, another family) the answer is to begin anew.
 */
import { familyOf, type IpAddress } from "../ip/address.ts";
import { type Prefix, prefixFamily } from "../ip/prefix.ts";
import {
  desiredSets,
  type LeftOut,
  nodeIpMember,
  podSubnetMember,
  type SetContents,
  sizeFor,
} from "./desired.ts";
import type { DesiredSet, SetType } from "./types.ts";

/** Of all contents that may have come or gone: whether it is there now. */
export interface SetContentsChange {
  readonly podSubnets: ReadonlyMap<Prefix, boolean>;
  readonly nodeIps: ReadonlyMap<IpAddress, boolean>;
}

/** One set, whose members change in place. */
export interface WantedSet extends DesiredSet {
  readonly members: Set<string>;
  /** Members that may have come or gone since this was emptied; undefined = any. */
  touched: Set<string> | undefined;
  /** False: what else is in the set stays. */
  readonly complete: boolean;
}

export class WantedSets {
  readonly sets: readonly WantedSet[];
  readonly leftOut: readonly LeftOut[];

  constructor(contents: SetContents, ipv6: boolean) {
    const { sets, leftOut } = desiredSets(contents, ipv6);
    const complete = contents.complete !== false;
    this.sets = sets.map((set) => {
      return { ...set, members: new Set(set.members), touched: undefined, complete };
    });
    this.leftOut = leftOut;
  }

  /** False = that changes more than members: these are to be made anew from the whole contents. */
  change({ podSubnets, nodeIps }: SetContentsChange): boolean {
    if (this.leftOut.length > 0) return false;
    for (const [prefix, there] of podSubnets) {
      if (!this.#put("hash:net", prefixFamily(prefix), podSubnetMember(prefix), there))
        return false;
    }
    for (const [address, there] of nodeIps) {
      if (!this.#put("hash:ip", familyOf(address), nodeIpMember(address), there)) return false;
    }
    return this.sets.every((set) => sizeFor(set.members.size).maxElements === set.maxElements);
  }

  #put(type: SetType, family: 4 | 6, member: string | undefined, there: boolean): boolean {
    const set = this.sets.find((one) => one.type === type && one.family === family);
    if (set === undefined || member === undefined) return false;
    if (there) set.members.add(member);
    else set.members.delete(member);
    set.touched?.add(member);
    return true;
  }
}
