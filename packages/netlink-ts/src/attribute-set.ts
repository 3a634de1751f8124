/**
 * Attributes by table: each object type of the kernel has one table `field → (number, codec)`, and
 * both directions follow from it. Encoding goes in the order of the table and leaves out fields
 * that are undefined; decoding skips what the table does not know.
 */
import { addressBytes, addressText } from "./address.ts";
import { invalid, MalformedMessageError } from "./errors.ts";
import { forEachAttribute } from "./message.ts";
import type { MessageWriter } from "./message-writer.ts";

/** The payload of one attribute, in both directions. */
export interface ValueCodec<T> {
  /** Throws `EINVAL` for a value that has no wire form. */
  encode(writer: MessageWriter, value: T): void;
  /** Reads `bytes[start, end)`. May throw {@link MalformedMessageError}. */
  decode(bytes: Buffer, start: number, end: number): T;
}

/** How one field goes over the wire. */
export interface AttributeRow<T> {
  /** The number, with NLA_F_NESTED or NLA_F_NET_BYTEORDER where the kernel wants them. */
  readonly type: number;
  readonly codec: ValueCodec<T>;
}

/** A row for each field of an object type, in the order in which they are written. */
export type AttributeTable<T extends object> = {
  readonly [K in keyof T]-?: AttributeRow<Exclude<T[K], undefined>>;
};

/** NLA_F_NESTED: the payload is attributes. */
export const NESTED = 0x8000;
/** NLA_F_NET_BYTEORDER: the payload is in network order. */
export const NET_BYTEORDER = 0x4000;
const TYPE_MASK = 0x3fff;

/** Fields that are left out, or undefined, are not written. */
type Fields<T> = { readonly [K in keyof T]: T[K] | undefined };

interface Row {
  readonly field: string;
  readonly type: number;
  readonly codec: ValueCodec<unknown>;
}

/** A table at work. */
export class AttributeSet<T extends object> {
  readonly #rows: readonly Row[];
  readonly #byType: readonly (Row | undefined)[];

  constructor(table: AttributeTable<T>) {
    const entries = Object.entries(table) as [string, AttributeRow<unknown>][];
    this.#rows = entries.map(([field, row]) => ({ field, type: row.type, codec: row.codec }));
    const byType: (Row | undefined)[] = [];
    for (const row of this.#rows) byType[row.type & TYPE_MASK] = row;
    this.#byType = byType;
  }

  /** Whether the table has a row for attributes of that number. */
  knows(type: number): boolean {
    return this.#byType[type] !== undefined;
  }

  /** Writes an attribute for each field that is not undefined; throws as the codecs do. */
  encode(writer: MessageWriter, value: Fields<T>): void {
    const fields = value as Record<string, unknown>;
    for (const row of this.#rows) {
      const field = fields[row.field];
      if (field === undefined) continue;
      const start = writer.beginAttribute(row.type);
      row.codec.encode(writer, field);
      writer.endAttribute(start);
    }
  }

  /** The known attributes of `bytes[start, end)`; a repeated one counts by its last value. */
  decode(bytes: Buffer, start: number, end: number): Partial<T> {
    const value: Record<string, unknown> = {};
    forEachAttribute(bytes, start, end, (type, from, to) => {
      const row = this.#byType[type];
      if (row !== undefined) value[row.field] = row.codec.decode(bytes, from, to);
    });
    return value as Partial<T>;
  }
}

/** One row of a table. */
export function row<T>(type: number, codec: ValueCodec<T>): AttributeRow<T> {
  return { type, codec };
}

function expectBytes(start: number, end: number, size: number): void {
  if (end - start < size) {
    throw new MalformedMessageError(`an attribute of ${end - start} bytes, not ${size}`);
  }
}

function integer(
  max: number,
  size: number,
  write: (writer: MessageWriter, value: number) => void,
  read: (bytes: Buffer, start: number) => number,
): ValueCodec<number> {
  return {
    encode(writer, value) {
      if (!Number.isInteger(value) || value < 0 || value > max) {
        throw invalid(`not a number from 0 to ${max}: ${value}`);
      }
      write(writer, value);
    },
    decode(bytes, start, end) {
      expectBytes(start, end, size);
      return read(bytes, start);
    },
  };
}

const U16_MAX = 0xffff;
const U32_MAX = 0xffff_ffff;

/** One byte. These five throw `EINVAL` for what is no whole number or out of range. */
export const u8 = integer(
  255,
  1,
  (w, v) => w.u8(v),
  (b, at) => b[at]!,
);
/** Two bytes, host order. */
export const u16 = integer(
  U16_MAX,
  2,
  (w, v) => w.u16(v),
  (b, at) => b.readUInt16LE(at),
);
/** Four bytes, host order. */
export const u32 = integer(
  U32_MAX,
  4,
  (w, v) => w.u32(v),
  (b, at) => b.readUInt32LE(at),
);
/** Two bytes, network order. */
export const be16 = integer(
  U16_MAX,
  2,
  (w, v) => w.be16(v),
  (b, at) => b.readUInt16BE(at),
);
/** Four bytes, network order. */
export const be32 = integer(
  U32_MAX,
  4,
  (w, v) => w.be32(v),
  (b, at) => b.readUInt32BE(at),
);

/** 4 or 16 bytes, by the text's family; `EINVAL` for what is no address. */
export const address: ValueCodec<string> = {
  encode: (writer, value) => writer.raw(addressBytes(value)),
  decode: addressText,
};

/** A NUL terminated string of at most `bytesMax` bytes, NUL not counted, and not empty. */
export function text(bytesMax: number): ValueCodec<string> {
  return {
    encode(writer, value) {
      if (value === "" || Buffer.byteLength(value) > bytesMax || value.includes("\0")) {
        throw invalid(
          `not a name of 1 to ${bytesMax} bytes: ${JSON.stringify(value.slice(0, 80))}`,
        );
      }
      writer.text(value);
    },
    decode(bytes, start, end) {
      const nul = bytes.indexOf(0, start);
      return bytes.toString("utf8", start, nul >= 0 && nul < end ? nul : end);
    },
  };
}

/** `02:00:00:00:00:01`: link-layer addresses, of any length on reading, six bytes on writing. */
export const linkAddress: ValueCodec<string> = {
  encode(writer, value) {
    if (!/^[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}$/.test(value)) {
      throw invalid(`not a MAC address: ${JSON.stringify(value.slice(0, 80))}`);
    }
    writer.raw(Buffer.from(value.replaceAll(":", ""), "hex"));
  },
  decode: (bytes, start, end) =>
    Array.from(bytes.subarray(start, end), (byte) => byte.toString(16).padStart(2, "0")).join(":"),
};

/** 0 or 1 in one byte. */
export const flag: ValueCodec<boolean> = {
  encode: (writer, value) => writer.u8(value ? 1 : 0),
  decode(bytes, start, end) {
    expectBytes(start, end, 1);
    return bytes[start] !== 0;
  },
};

/** An attribute that this package reads and never writes. */
export function listed<T>(decode: (bytes: Buffer, start: number, end: number) => T): ValueCodec<T> {
  return {
    encode() {
      throw new Error("bug: an attribute that is only read was to be written");
    },
    decode,
  };
}

/** Attributes inside an attribute. Missing fields are the table owner's to allow for. */
export function nest<T extends object>(set: AttributeSet<T>): ValueCodec<T> {
  return {
    encode: (writer, value) => set.encode(writer, value),
    decode: (bytes, start, end) => set.decode(bytes, start, end) as T,
  };
}
