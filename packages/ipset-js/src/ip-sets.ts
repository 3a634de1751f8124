/**
 * The kernel's ipsets of one network namespace.
 *
 * Entries go many to a message, one message to a send. A message stops at the first entry that the
 * kernel refuses and says which one that was; the entries after it go in the next message, so one
 * bad entry costs no other.
 */
import {
  type Acknowledgement,
  AddressFamily,
  Errno,
  Flag,
  HEADER_BYTES,
  type IpFamily,
  invalid,
  type Message,
  NetlinkError,
  NetlinkSocket,
  Protocol,
  REQUEST_OFFSET,
  type Sys,
} from "netlink-ts";
import { checkTimeout, decodeEntry, encodeEntry, type SetEntry } from "./entry.ts";
import { EntryBlock } from "./entry-block.ts";
import { IpsetErrno, IpsetError } from "./errors.ts";
import {
  ENTRIES_AT_ONCE_MAX,
  ENTRIES_BYTES_MAX,
  ENTRY_BYTES_MAX,
  ENTRY_FAILURES_MAX,
} from "./limits.ts";
import {
  decodeHeader,
  encodeSpec,
  revisionFor,
  type SetHeader,
  type SetSpec,
  type SetType,
} from "./set-header.ts";
import {
  Command,
  ListFlag,
  readBody,
  readMessage,
  type WireMessage,
  writeChange,
  writeMessage,
} from "./wire.ts";

/** How {@link IpSets} are opened. */
export interface IpSetsOptions {
  /** The system calls, for tests; Linux's unless told. */
  readonly sys?: Sys;
}

/** An entry that the kernel, or this package, refused. */
export interface EntryFailure {
  /** Position in the list that was given. */
  readonly index: number;
  readonly entry: SetEntry;
  readonly error: NetlinkError;
}

/** A set with all its members, in the kernel's order. */
export interface ListedSet extends SetHeader {
  readonly members: readonly SetEntry[];
}

/** What to make of something that is there already, or is gone. */
export interface ExistOptions {
  /** Take it as done when it is (or is not) there already; true unless told. */
  readonly exist?: boolean;
}

/** How entries are added or removed. */
export interface ChangeOptions extends ExistOptions {
  /** Seconds, for entries that say none themselves; for sets made with a timeout. */
  readonly timeout?: number;
}

/**
 * The ipsets of one network namespace. Everything needs CAP_NET_ADMIN. What the kernel refuses
 * rejects with {@link IpsetError}; entries that it refuses are in the result of `add` and `delete`.
 */
export class IpSets {
  readonly #socket: NetlinkSocket;
  readonly #revisions = new Map<string, number>();

  /** Opens a socket in the namespace of the calling thread. Throws SystemCallError. */
  constructor(options: IpSetsOptions = {}) {
    this.#socket = NetlinkSocket.open(Protocol.NETFILTER, { ...options, toError });
  }

  /**
   * Makes a set. One of the same name and parameters is success unless `exist` is false; other
   * parameters are SET_EXISTS.
   */
  async create(spec: SetSpec, options: ExistOptions = {}): Promise<void> {
    const revision = await this.#revision(spec.type, spec.family ?? 4);
    const flags = Flag.CREATE | (options.exist === false ? Flag.EXCL : 0);
    await this.#request(Command.CREATE, flags, encodeSpec(spec, revision));
  }

  /** Removes a set; SET_BUSY when something refers to it. */
  async destroy(name: string, options: ExistOptions = {}): Promise<void> {
    try {
      await this.#request(Command.DESTROY, exclusive(options), { name });
    } catch (error) {
      // Before Linux 5.11 the kernel does not know EXCL here: what is gone is always a fault.
      const gone = error instanceof IpsetError && error.errno === IpsetErrno.SET_NOT_FOUND;
      if (!gone || options.exist === false) throw error;
    }
  }

  /** Removes all members. */
  flush(name: string): Promise<void> {
    return this.#request(Command.FLUSH, 0, { name });
  }

  /** Gives a set a name that is free; REFERENCED when something refers to it. */
  rename(from: string, to: string): Promise<void> {
    return this.#request(Command.RENAME, 0, { name: from, typeName: to });
  }

  /** Exchanges the contents of two sets of one type and family; what refers to a name keeps it. */
  swap(one: string, other: string): Promise<void> {
    return this.#request(Command.SWAP, 0, { name: one, typeName: other });
  }

  /** Adds entries and returns those refused; rejects when the set is missing. */
  add(
    name: string,
    entries: readonly (SetEntry | string)[],
    options: ChangeOptions = {},
  ): Promise<EntryFailure[]> {
    return this.#change(Command.ADD, name, entries, options);
  }

  /** Removes entries and returns those refused; rejects when the set is missing. */
  delete(
    name: string,
    entries: readonly (SetEntry | string)[],
    options: ChangeOptions = {},
  ): Promise<EntryFailure[]> {
    return this.#change(Command.DELETE, name, entries, options);
  }

  /** Whether the set would match the entry (in hash:net: is it covered by a member). */
  async test(name: string, entry: SetEntry | string): Promise<boolean> {
    const tested = encodeEntry(plain(entry));
    try {
      await this.#socket.request((writer) =>
        writeMessage(writer, Command.TEST, Flag.REQUEST, { name }, tested),
      );
      return true;
    } catch (error) {
      if (error instanceof IpsetError && error.errno === IpsetErrno.EXIST) return false;
      throw error;
    }
  }

  /** Names of all sets. */
  async names(): Promise<string[]> {
    const parts = await this.#list(undefined, ListFlag.NAMES);
    return parts.flatMap(({ name }) => (name === undefined ? [] : [name]));
  }

  /** Parameters and counts of a set, without its members; undefined when there is none. */
  async header(name: string): Promise<SetHeader | undefined> {
    const parts = await this.#listIfThere(name, ListFlag.HEADERS);
    return parts === undefined ? undefined : decodeHeader(parts);
  }

  /** Whether there is a set of this name. */
  async exists(name: string): Promise<boolean> {
    return (await this.#listIfThere(name, ListFlag.NAMES)) !== undefined;
  }

  /** A set with its members; undefined when there is none. */
  async list(name: string): Promise<ListedSet | undefined> {
    const parts = await this.#listIfThere(name, 0);
    if (parts === undefined) return undefined;
    const header = decodeHeader(parts);
    const members: SetEntry[] = [];
    for (const part of parts) {
      for (const wire of part.entries ?? []) {
        const entry = decodeEntry(wire);
        if (entry === undefined) {
          const text = `members of type ${header.type} are unknown`;
          throw new NetlinkError(Errno.EOPNOTSUPP, { text });
        }
        members.push(entry);
      }
    }
    return { ...header, members };
  }

  /** Ends what is waiting with ECANCELED. */
  close(): void {
    this.#socket.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  async #request(command: number, flags: number, content: WireMessage): Promise<void> {
    refuseNameless(content.name);
    return this.#socket.request((writer) =>
      writeMessage(writer, command, Flag.REQUEST | flags, content),
    );
  }

  /** The newest revision of a type that the kernel and this package both know. */
  async #revision(type: SetType, family: IpFamily): Promise<number> {
    const key = `${type} ${family}`;
    const known = this.#revisions.get(key);
    if (known !== undefined) return known;
    let answer: WireMessage | undefined;
    await this.#socket.request(
      (writer) =>
        writeMessage(writer, Command.TYPE, Flag.REQUEST, {
          typeName: type,
          family: family === 4 ? AddressFamily.INET : AddressFamily.INET6,
        }),
      (message) => {
        answer ??= readMessage(message);
      },
    );
    const revision = revisionFor(type, answer?.revisionMin ?? 0, answer?.revision ?? 0);
    this.#revisions.set(key, revision);
    return revision;
  }

  async #listIfThere(name: string, flags: number): Promise<WireMessage[] | undefined> {
    refuseNameless(name);
    try {
      const parts = await this.#list(name, flags);
      return parts.length === 0 ? undefined : parts;
    } catch (error) {
      if (error instanceof IpsetError && error.errno === IpsetErrno.SET_NOT_FOUND) return undefined;
      throw error;
    }
  }

  #list(name: string | undefined, flags: number): Promise<WireMessage[]> {
    return this.#socket.dump(
      (writer) =>
        writeMessage(writer, Command.LIST, Flag.REQUEST | Flag.DUMP, {
          ...(name === undefined ? {} : { name }),
          ...(flags === 0 ? {} : { flags }),
        }),
      readMessage,
    );
  }

  async #change(
    command: number,
    name: string,
    entries: readonly (SetEntry | string)[],
    options: ChangeOptions,
  ): Promise<EntryFailure[]> {
    const failures = new Map<number, EntryFailure>();
    const fail = (index: number, error: NetlinkError) => {
      failures.set(index, { index, entry: plain(entries[index] as SetEntry | string), error });
    };
    checkTimeout(options.timeout);
    const block = new EntryBlock(Math.min(ENTRIES_BYTES_MAX, entries.length * ENTRY_BYTES_MAX));
    const flags = Flag.REQUEST | exclusive(options);
    let next = 0;
    while (next < entries.length && failures.size < ENTRY_FAILURES_MAX) {
      const first = next;
      next = fill(block, entries, next, options.timeout, fail);
      if (block.count === 0) continue;
      try {
        await this.#socket.request(
          (writer) => writeChange(writer, command, flags, name, block.bytes),
          undefined,
          { atOnce: block.count <= ENTRIES_AT_ONCE_MAX },
        );
      } catch (error) {
        if (!(error instanceof IpsetError)) throw error;
        let index: number | undefined = error.line - 1;
        if (index < 0) {
          if (error.errno !== IpsetErrno.PROTOCOL) throw error;
          const sent = { from: first, to: next, left: failures };
          index = await this.#unsuited(name, entries, sent);
        }
        if (index === undefined) throw error;
        fail(index, error);
        next = index + 1;
      }
    }
    for (; next < entries.length; next++) fail(next, notTried());
    return [...failures.values()].sort((a, b) => a.index - b.index);
  }

  /**
   * The first entry of a message that says what the set's type does not have at all: of such a one
   * the kernel tells no line. Undefined when there is none.
   */
  async #unsuited(
    name: string,
    entries: readonly (SetEntry | string)[],
    sent: {
      readonly from: number;
      readonly to: number;
      readonly left: ReadonlyMap<number, object>;
    },
  ): Promise<number | undefined> {
    const header = await this.header(name);
    for (let index = sent.from; header !== undefined && index < sent.to; index++) {
      if (!sent.left.has(index) && !suits(header.type, entries[index]!)) return index;
    }
    return undefined;
  }
}

/**
 * Takes as many entries as one message has room for, and gives where the next one begins; those
 * without a wire form go to `fail`. The kernel calls an entry by its position in the whole list.
 */
function fill(
  block: EntryBlock,
  entries: readonly (SetEntry | string)[],
  start: number,
  timeout: number | undefined,
  fail: (index: number, error: NetlinkError) => void,
): number {
  block.reset();
  for (let index = start; index < entries.length; index++) {
    try {
      if (!block.add(entries[index] as SetEntry | string, timeout, index + 1)) return index;
    } catch (error) {
      if (!(error instanceof NetlinkError)) throw error;
      fail(index, error);
    }
  }
  return entries.length;
}

/** Whether a set of that type takes all that the entry says, by form. */
function suits(type: string, entry: SetEntry | string): boolean {
  const { member, nomatch } = plain(entry);
  return (type.includes("port") || !member.includes(",")) && (type.includes("net") || !nomatch);
}

/** Without a name the kernel destroys or flushes every set that there is. */
function refuseNameless(name: unknown): void {
  if (typeof name !== "string") throw invalid(`not the name of a set: ${String(name)}`);
}

function notTried(): NetlinkError {
  const text = `not tried after ${ENTRY_FAILURES_MAX} refused entries`;
  return new NetlinkError(Errno.ECANCELED, { text });
}

function plain(entry: SetEntry | string): SetEntry {
  return typeof entry === "string" ? { member: entry } : entry;
}

function exclusive({ exist }: ExistOptions): number {
  // The other way round than in rtnetlink: EXCL makes a fault of what is (not) there already.
  return exist === false ? Flag.EXCL : 0;
}

/** The kernel returns the whole request and writes the failing entry's number into it. */
function toError(answer: Acknowledgement, { bytes, start, end }: Message): NetlinkError {
  const body = start + REQUEST_OFFSET + HEADER_BYTES;
  const line = end > body ? (readBody(bytes, body, end).line ?? 0) : 0;
  return new IpsetError(answer.errno, { line, text: answer.text });
}
