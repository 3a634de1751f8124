/** The sets port over nfnetlink. Translates and decides nothing. */
import { type EntryFailure, IpSets, IpsetErrno, IpsetError, type SetHeader } from "ipset-js";
import { MalformedMessageError, NetlinkError, SystemCallError } from "netlink-ts";
import { type MemberFailure, SetsError, type SetsErrorKind, type SetsKernel } from "./ports.ts";
import type { ActualHeader, ActualSet, SetParameters } from "./types.ts";

export interface NetlinkSetsOptions {
  /** Called around the making of the socket; tests enter another network namespace there. */
  readonly around?: <T>(make: () => T) => T;
}

export class NetlinkSets implements SetsKernel {
  readonly #around: <T>(make: () => T) => T;
  #sets: IpSets | undefined;

  constructor(options: NetlinkSetsOptions = {}) {
    this.#around = options.around ?? ((make) => make());
  }

  async header(name: string): Promise<ActualHeader | undefined> {
    const header = await this.#ask(async (sets) => {
      try {
        return await sets.header(name);
      } catch (error) {
        throw withoutIpSet(error);
      }
    });
    return header && headerOf(header);
  }

  list(name: string): Promise<ActualSet | undefined> {
    return this.#ask(async (sets) => {
      const listed = await sets.list(name);
      if (listed === undefined) return undefined;
      const members = new Map<string, boolean>();
      for (const { member, timeout, nomatch } of listed.members) {
        members.set(member, (timeout ?? 0) === 0 && nomatch !== true);
      }
      return { ...headerOf(listed), members };
    });
  }

  create(parameters: SetParameters): Promise<void> {
    return this.#ask((sets) => sets.create({ ...parameters, timeout: 0 }));
  }

  add(name: string, members: readonly string[]): Promise<readonly MemberFailure[]> {
    return this.#ask(async (sets) => (await sets.add(name, members, FOR_EVER)).map(failureOf));
  }

  remove(name: string, members: readonly string[]): Promise<readonly MemberFailure[]> {
    return this.#ask(async (sets) => (await sets.delete(name, members)).map(failureOf));
  }

  swap(one: string, other: string): Promise<void> {
    return this.#ask((sets) => sets.swap(one, other));
  }

  destroy(name: string): Promise<void> {
    return this.#ask((sets) => sets.destroy(name));
  }

  /** Ends what is waiting. */
  close(): void {
    this.#sets?.close();
    this.#sets = undefined;
  }

  async #ask<T>(task: (sets: IpSets) => Promise<T>): Promise<T> {
    try {
      this.#sets ??= this.#around(() => new IpSets());
      return await task(this.#sets);
    } catch (error) {
      // A socket that broke is no use any more; the next call makes another.
      if (error instanceof SystemCallError) this.close();
      throw translated(error);
    }
  }
}

/** What the packages reject with becomes our error; a bug stays one. */
function translated(error: unknown): unknown {
  if (error instanceof SystemCallError || error instanceof MalformedMessageError) {
    return new SetsError("unavailable", error.message, { cause: error });
  }
  if (!(error instanceof NetlinkError)) return error;
  const { code, message } = error;
  if (code === "EPERM" || code === "EACCES") {
    const hint = "(is CAP_NET_ADMIN missing?)";
    return new SetsError("unavailable", `${message} ${hint}`, { cause: error });
  }
  return new SetsError(kindOf(error), message, { cause: error });
}

/** A plain question that is refused: nfnetlink has nobody to hand ipset messages to. */
function withoutIpSet(error: unknown): unknown {
  if (!(error instanceof NetlinkError) || !NO_SUBSYSTEM.has(error.code)) return error;
  const message = `the kernel does not know ipsets (module ip_set): ${error.message}`;
  return new SetsError("unavailable", message, { cause: error });
}

const FOR_EVER = { timeout: 0 } as const;
const NO_SUBSYSTEM: ReadonlySet<string> = new Set(["EINVAL", "EOPNOTSUPP", "PROTOCOL"]);

function kindOf(error: NetlinkError): SetsErrorKind {
  if (!(error instanceof IpsetError)) return "failed";
  if (error.errno === IpsetErrno.TYPE_MISMATCH) return "mismatch";
  return error.errno === IpsetErrno.SET_BUSY ? "busy" : "failed";
}

function headerOf(header: SetHeader): ActualHeader {
  return {
    name: header.name,
    type: header.type,
    family: header.family,
    maxElements: header.maxElements ?? 0,
    plain: isPlain(header),
    elements: header.elements,
    references: header.references,
  };
}

function isPlain(header: SetHeader): boolean {
  const { timeout, comment, counters, skbinfo, forceAdd, netmask, bitmask } = header;
  const extended = comment || counters || skbinfo || forceAdd;
  return timeout === 0 && !extended && netmask === undefined && bitmask === undefined;
}

function failureOf({ entry, error }: EntryFailure): MemberFailure {
  return { member: entry.member, message: error.message };
}
