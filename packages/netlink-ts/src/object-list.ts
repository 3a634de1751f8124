/**
 * Addresses, rules and neighbours: objects that are made, removed and listed, nothing more. They
 * differ in message types and codecs only, so they share one class.
 */
import { applyInBatches } from "./batch.ts";
import { Flag } from "./message.ts";
import type { MessageWriter } from "./message-writer.ts";
import type { NetlinkSocket, Outcome } from "./netlink-socket.ts";

/** What there is to know of a kind of object. */
export interface ObjectKind<Value, Spec, Filter> {
  readonly newType: number;
  readonly deleteType: number;
  readonly getType: number;
  /** Writes the body of a request to make or to remove one. */
  readonly encode: (writer: MessageWriter, spec: Spec) => void;
  /** Writes the body of each request that a listing takes. */
  readonly filters: (filter: Filter) => readonly ((writer: MessageWriter) => void)[];
  readonly decode: (bytes: Buffer, start: number, end: number) => Value | undefined;
  /** The kernel may list more than was asked for. */
  readonly matches: (value: Value, filter: Filter) => boolean;
}

/**
 * - `add`: EEXIST when it is there;
 * - `replace`: changes what is there, else adds. Not for rules: the kernel adds a second one;
 * - `delete`: when there is none EADDRNOTAVAIL of an address, ENOENT of others.
 */
export interface ObjectOperation<Spec> {
  readonly kind: "add" | "replace" | "delete";
  readonly value: Spec;
}

/** The objects of one kind. A refused change rejects with its {@link NetlinkError}. */
export class ObjectList<Value, Spec, Filter extends object> {
  readonly #socket: NetlinkSocket;
  readonly #kind: ObjectKind<Value, Spec, Filter>;

  constructor(socket: NetlinkSocket, kind: ObjectKind<Value, Spec, Filter>) {
    this.#socket = socket;
    this.#kind = kind;
  }

  /** Those that match the filter. */
  async list(filter: Filter): Promise<Value[]> {
    const { getType, newType, decode, matches } = this.#kind;
    const values: Value[] = [];
    for (const encodeFilter of this.#kind.filters(filter)) {
      const part = await this.#socket.dump(
        (writer) => {
          writer.begin(getType, Flag.REQUEST | Flag.DUMP);
          encodeFilter(writer);
          writer.end();
        },
        ({ type, bytes, start, end }) => {
          const value = type === newType ? decode(bytes, start, end) : undefined;
          return value !== undefined && matches(value, filter) ? value : undefined;
        },
      );
      for (const value of part) values.push(value);
    }
    return values;
  }

  /** Makes one. Rejects with EEXIST when it is there. */
  async add(spec: Spec): Promise<void> {
    await this.#one({ kind: "add", value: spec });
  }

  /** Changes the one that is there, else makes one. Not for rules: the kernel makes a second. */
  async replace(spec: Spec): Promise<void> {
    await this.#one({ kind: "replace", value: spec });
  }

  /** Removes one. When there is none: EADDRNOTAVAIL of an address, ENOENT of others. */
  async delete(spec: Spec): Promise<void> {
    await this.#one({ kind: "delete", value: spec });
  }

  /**
   * Carries out the operations in order, in batches, off the event loop. The result has one entry
   * an operation: undefined, or why it failed; a failure stops no other operation.
   */
  apply(operations: readonly ObjectOperation<Spec>[]): Promise<Outcome[]> {
    const { newType, deleteType, encode } = this.#kind;
    return applyInBatches(this.#socket, operations, (writer, { kind, value }) => {
      const making = Flag.CREATE | (kind === "add" ? Flag.EXCL : Flag.REPLACE);
      const flags = Flag.REQUEST | (kind === "delete" ? 0 : making);
      writer.begin(kind === "delete" ? deleteType : newType, flags);
      encode(writer, value);
      writer.end();
    });
  }

  async #one(operation: ObjectOperation<Spec>): Promise<void> {
    const [error] = await this.apply([operation]);
    if (error !== undefined) throw error;
  }
}
