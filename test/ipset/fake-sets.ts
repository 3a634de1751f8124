/** Ipsets that behave as the kernel's do where it matters here. */
import { type MemberFailure, SetsError, type SetsKernel } from "../../src/ipset/ports.ts";
import type { ActualHeader, ActualSet, SetParameters } from "../../src/ipset/types.ts";

export interface FakeSet {
  type: string;
  family: 4 | 6;
  maxElements: number;
  plain: boolean;
  references: number;
  members: Map<string, boolean>;
}

export class FakeSets implements SetsKernel {
  readonly sets = new Map<string, FakeSet>();
  /** What was changed, in words. */
  readonly calls: string[] = [];
  /** Headers read. */
  looks = 0;
  /** Sets read with all members. */
  reads = 0;
  unavailable: string | undefined;
  refuse: (call: string) => SetsError | undefined = () => undefined;
  refuseMember: (member: string) => boolean = () => false;

  /** A set that somebody made. */
  put(name: string, fields: Partial<Omit<FakeSet, "members">> & { members?: string[] } = {}) {
    const { members = [], ...rest } = fields;
    const set: FakeSet = {
      type: name.endsWith("node-ips") ? "hash:ip" : "hash:net",
      family: name.startsWith("inet6:") ? 6 : 4,
      maxElements: 65_536,
      plain: true,
      references: 0,
      ...rest,
      members: new Map(members.map((member) => [member, true])),
    };
    this.sets.set(name, set);
    return set;
  }

  /** Members of a set in order, or undefined. */
  members(name: string): string[] | undefined {
    const set = this.sets.get(name);
    return set && [...set.members.keys()].sort();
  }

  /** The calls since the last time. */
  taken(): string[] {
    return this.calls.splice(0);
  }

  async header(name: string): Promise<ActualHeader | undefined> {
    this.looks++;
    this.#check("header");
    const set = this.sets.get(name);
    return set && this.#header(name, set);
  }

  async list(name: string): Promise<ActualSet | undefined> {
    this.reads++;
    this.#check("list");
    const set = this.sets.get(name);
    return set && { ...this.#header(name, set), members: new Map(set.members) };
  }

  async create(parameters: SetParameters): Promise<void> {
    const { name, type, family, maxElements } = parameters;
    this.#change(`create ${name} ${type} ${family} ${maxElements}`);
    if (this.sets.has(name)) throw new SetsError("failed", "SET_EXISTS");
    this.put(name, { type, family, maxElements });
  }

  async add(name: string, members: readonly string[]): Promise<readonly MemberFailure[]> {
    this.#change(`add ${name} ${members.length}`);
    const set = this.#get(name);
    const failures: MemberFailure[] = [];
    for (const member of members) {
      if (this.refuseMember(member)) failures.push({ member, message: "EINVAL: no" });
      else {
        if (!set.members.has(member) && set.members.size >= set.maxElements) {
          throw new SetsError("failed", "SET_FULL");
        }
        set.members.set(member, true);
      }
    }
    return failures;
  }

  async remove(name: string, members: readonly string[]): Promise<readonly MemberFailure[]> {
    this.#change(`del ${name} ${members.length}`);
    const set = this.#get(name);
    for (const member of members) set.members.delete(member);
    return [];
  }

  async swap(one: string, other: string): Promise<void> {
    this.#change(`swap ${one} ${other}`);
    const [a, b] = [this.#get(one), this.#get(other)];
    if (a.type !== b.type || a.family !== b.family)
      throw new SetsError("mismatch", "TYPE_MISMATCH");
    // References are to the name.
    [a.references, b.references] = [b.references, a.references];
    this.sets.set(one, b);
    this.sets.set(other, a);
  }

  async destroy(name: string): Promise<void> {
    const set = this.sets.get(name);
    if (set === undefined) return;
    this.#change(`destroy ${name}`);
    if (set.references > 0) throw new SetsError("busy", "SET_BUSY: the set is in use");
    this.sets.delete(name);
  }

  #header(name: string, set: FakeSet): ActualHeader {
    const { members, ...rest } = set;
    return { name, ...rest, elements: members.size };
  }

  #get(name: string): FakeSet {
    const set = this.sets.get(name);
    if (set === undefined) throw new SetsError("failed", "SET_NOT_FOUND");
    return set;
  }

  #change(call: string): void {
    this.#check(call);
    this.calls.push(call);
  }

  #check(call: string): void {
    if (this.unavailable !== undefined) throw new SetsError("unavailable", this.unavailable);
    const error = this.refuse(call);
    if (error !== undefined) throw error;
  }
}
