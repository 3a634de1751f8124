/**
 * Addresses and prefixes as plain text: what the API speaks. Reading is strict (no leading zeros,
 * RFC 6943 §3.1.1; no zone), writing is canonical (RFC 5952 §4), so that texts can be compared.
 */
import { invalid, MalformedMessageError } from "./errors.ts";
import { AddressFamily } from "./sys.ts";

/** 4 or 6. */
export type IpFamily = 4 | 6;

/** A prefix in numbers. */
export interface ParsedPrefix {
  /** 4 or 16, network order. */
  readonly bytes: Uint8Array;
  /** In bits. */
  readonly length: number;
  readonly family: IpFamily;
}

const IPV6_TEXT_MAX = 45;

/** AF_INET or AF_INET6. Throws `EINVAL` for what is neither 4 nor 6. */
export function addressFamily(family: IpFamily): number {
  if (family === 4) return AddressFamily.INET;
  if (family !== 6) throw invalid(`not a family, 4 or 6: ${family}`);
  return AddressFamily.INET6;
}

/** Bytes, network order. Throws `EINVAL` naming the text when it is no address. */
export function addressBytes(text: string): Uint8Array {
  const bytes = text.includes(":") ? ipv6Bytes(text) : ipv4Bytes(text);
  if (bytes === undefined) throw invalid(`not an IP address: ${quote(text)}`);
  return bytes;
}

/** The family by its looks alone: the text need not be an address. */
export function addressFamilyOf(text: string): IpFamily {
  return text.includes(":") ? 6 : 4;
}

/** Canonical text of the 4 or 16 bytes; throws {@link MalformedMessageError} for other numbers. */
export function addressText(bytes: Uint8Array, start: number, end: number): string {
  if (end - start === 4) {
    return `${bytes[start]}.${bytes[start + 1]}.${bytes[start + 2]}.${bytes[start + 3]}`;
  }
  if (end - start === 16) return ipv6Text(bytes, start);
  throw new MalformedMessageError(`an address of ${end - start} bytes`);
}

/**
 * `10.0.0.0/24`; a bare address is a host prefix. Host bits are kept: the kernel judges them.
 * Throws `EINVAL` naming the text when it is no prefix.
 */
export function parsePrefix(text: string): ParsedPrefix {
  const slash = text.indexOf("/");
  const bytes = addressBytes(slash < 0 ? text : text.slice(0, slash));
  const family = bytes.length === 4 ? 4 : 6;
  const bits = bytes.length * 8;
  if (slash < 0) return { bytes, length: bits, family };
  const length = lengthFrom(text, slash + 1);
  if (length < 0 || length > bits) throw invalid(`not an IP prefix: ${quote(text)}`);
  return { bytes, length, family };
}

/** The number at the end of a text, of one to three digits without a leading zero; else -1. */
function lengthFrom(text: string, start: number): number {
  const digits = text.length - start;
  if (digits < 1 || digits > 3 || (digits > 1 && text.charCodeAt(start) === 48)) return -1;
  let length = 0;
  for (let i = start; i < text.length; i++) {
    const digit = text.charCodeAt(i) - 48;
    if (digit < 0 || digit > 9) return -1;
    length = length * 10 + digit;
  }
  return length;
}

/** Text of the whole address space: a default route's destination. */
export function defaultPrefix(family: IpFamily): string {
  return family === 4 ? "0.0.0.0/0" : "::/0";
}

function ipv4Bytes(text: string): Uint8Array | undefined {
  const bytes = new Uint8Array(4);
  let part = 0;
  let value = -1;
  for (let i = 0; i <= text.length; i++) {
    const char = i === text.length ? 46 : text.charCodeAt(i);
    if (char === 46) {
      if (value < 0 || part > 3) return undefined;
      bytes[part++] = value;
      value = -1;
    } else {
      if (char < 48 || char > 57 || value === 0) return undefined;
      value = (value < 0 ? 0 : value * 10) + char - 48;
      if (value > 255) return undefined;
    }
  }
  return part === 4 ? bytes : undefined;
}

function ipv6Bytes(text: string): Uint8Array | undefined {
  if (text.length > IPV6_TEXT_MAX) return undefined;
  const halves = text.split("::");
  if (halves.length > 2) return undefined;
  const head = groups(halves[0] as string, halves.length === 1);
  const tail = halves.length === 2 ? groups(halves[1] as string, true) : [];
  if (head === undefined || tail === undefined) return undefined;
  const missing = 8 - head.length - tail.length;
  if (halves.length === 1 ? missing !== 0 : missing < 1) return undefined;
  const all = [...head, ...new Array<number>(missing).fill(0), ...tail];
  const bytes = new Uint8Array(16);
  for (const [index, group] of all.entries()) {
    bytes[index * 2] = group >>> 8;
    bytes[index * 2 + 1] = group & 255;
  }
  return bytes;
}

/** Hexadecimal groups; the last may be a dotted quad (RFC 4291 §2.2) where `end` allows it. */
function groups(text: string, end: boolean): number[] | undefined {
  if (text === "") return [];
  const values: number[] = [];
  const parts = text.split(":");
  for (const [index, part] of parts.entries()) {
    if (end && index === parts.length - 1 && part.includes(".")) {
      const quad = ipv4Bytes(part);
      if (quad === undefined) return undefined;
      values.push((quad[0]! << 8) | quad[1]!, (quad[2]! << 8) | quad[3]!);
    } else {
      if (!/^[0-9a-fA-F]{1,4}$/.test(part)) return undefined;
      values.push(Number.parseInt(part, 16));
    }
  }
  return values;
}

/** RFC 5952 §4: lower case, no leading zeros, the longest run of zero groups as `::`. */
function ipv6Text(bytes: Uint8Array, start: number): string {
  const words: number[] = [];
  for (let i = 0; i < 16; i += 2) words.push((bytes[start + i]! << 8) | bytes[start + i + 1]!);
  let runStart = -1;
  let runLength = 1;
  for (let i = 0; i < 8; ) {
    let end = i;
    while (end < 8 && words[end] === 0) end++;
    if (end - i > runLength) {
      runStart = i;
      runLength = end - i;
    }
    i = Math.max(end, i + 1);
  }
  const text = words.map((word) => word.toString(16));
  if (runStart < 0) return text.join(":");
  return `${text.slice(0, runStart).join(":")}::${text.slice(runStart + runLength).join(":")}`;
}

/** Foreign text in an error message: bounded, without control characters. */
export function quote(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text);
}
