/** UPDATE messages taken apart by hand, for the injector and what is compared of it. */

const LONG = 0x10;

export interface WireAttribute {
  /** Without the one for long attributes. */
  readonly flags: number;
  readonly type: number;
  readonly value: Buffer;
}

/** The path attributes of an UPDATE. */
export function attributesIn(list: Buffer): readonly WireAttribute[] {
  const found: WireAttribute[] = [];
  for (let at = 0; at < list.length; ) {
    const [flags, type] = [list[at]!, list[at + 1]!];
    const long = (flags & LONG) !== 0;
    const start = at + (long ? 4 : 3);
    const end = start + (long ? list.readUInt16BE(at + 2) : list[at + 2]!);
    found.push({ flags: flags & ~LONG, type, value: list.subarray(start, end) });
    at = end;
  }
  return found;
}

/** Prefixes as on the wire, in hex, each with `idBytes` octets of path identifier in front. */
export function prefixesIn(nlri: Buffer, idBytes: number): readonly string[] {
  const found: string[] = [];
  for (let at = 0; at < nlri.length; ) {
    const end = at + idBytes + 1 + Math.ceil(nlri[at + idBytes]! / 8);
    found.push(nlri.toString("hex", at, end));
    at = end;
  }
  return found;
}
