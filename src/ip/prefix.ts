import {
  addressBytes,
  addressFromBytes,
  type IpAddress,
  type IpFamily,
  parseAddress,
} from "./address.ts";

declare const brand: unique symbol;

const ZERO = 48;

/** Canonical text of a prefix, `10.233.65.0/24`: no host bits. Made only by this file. */
export type Prefix = string & { readonly [brand]: "Prefix" };

/** What is wrong with a text that was meant to be a prefix. */
export type PrefixProblem = "syntax" | "length" | "host-bits";

/** The canonical prefix of `text`, or what is wrong with it. */
export function parsePrefix(text: string): Prefix | { readonly problem: PrefixProblem } {
  const slash = text.indexOf("/");
  if (slash < 0) return { problem: "syntax" };
  const address = parseAddress(text.slice(0, slash));
  const lengthText = text.slice(slash + 1);
  if (address === undefined || !/^(0|[1-9]\d{0,2})$/.test(lengthText)) return { problem: "syntax" };
  const bytes = addressBytes(address);
  const length = Number(lengthText);
  if (length > bytes.length * 8) return { problem: "length" };
  const prefix = prefixFromBytes(bytes, length);
  return prefix.startsWith(`${address}/`) ? prefix : { problem: "host-bits" };
}

/** True for the success case of {@link parsePrefix}. */
export function isPrefix(value: Prefix | { readonly problem: PrefixProblem }): value is Prefix {
  return typeof value === "string";
}

/** A prefix that the program itself wrote down: throws when it is none. For constants and tests. */
export function prefix(text: string): Prefix {
  const parsed = parsePrefix(text);
  if (!isPrefix(parsed)) throw new Error(`bug: not a prefix (${parsed.problem}): ${text}`);
  return parsed;
}

/** The destination that every address lies in, by family. */
export const DEFAULT_ROUTES: Readonly<Record<IpFamily, Prefix>> = {
  4: "0.0.0.0/0" as Prefix,
  6: "::/0" as Prefix,
};

/** The prefix of `length` bits of an address of 4 or 16 bytes; host bits are cleared. */
export function prefixFromBytes(bytes: Uint8Array, length: number): Prefix {
  const masked = bytes.slice();
  for (let i = 0; i < masked.length; i++) {
    const bits = Math.min(8, Math.max(0, length - i * 8));
    masked[i] = masked[i]! & (0xff00 >>> bits) & 0xff;
  }
  return `${addressFromBytes(masked)}/${length}` as Prefix;
}

/** The host prefix of an address: /32 or /128. */
export function hostPrefix(address: IpAddress): Prefix {
  return `${address}/${address.includes(":") ? 128 : 32}` as Prefix;
}

/** 4 or 6. */
export function prefixFamily(prefix: Prefix): IpFamily {
  return prefix.includes(":") ? 6 : 4;
}

/** Length in bits. */
export function prefixLength(prefix: Prefix): number {
  let length = 0;
  for (let i = prefix.indexOf("/") + 1; i < prefix.length; i++) {
    length = length * 10 + prefix.charCodeAt(i) - ZERO;
  }
  return length;
}

/** The network address. */
export function prefixAddress(prefix: Prefix): IpAddress {
  return prefix.slice(0, prefix.indexOf("/")) as IpAddress;
}

/** Whether `address` lies in `prefix`; false across families. */
export function prefixContains(prefix: Prefix, address: IpAddress): boolean {
  return prefixCovers(prefix, hostPrefix(address));
}

/** Whether `inner` lies in `outer` or equals it; false across families. */
export function prefixCovers(outer: Prefix, inner: Prefix): boolean {
  if (prefixFamily(outer) !== prefixFamily(inner)) return false;
  const length = prefixLength(outer);
  if (prefixLength(inner) < length) return false;
  return prefixFromBytes(addressBytes(prefixAddress(inner)), length) === outer;
}

/** Whether two prefixes share an address. */
export function prefixesOverlap(a: Prefix, b: Prefix): boolean {
  return prefixCovers(a, b) || prefixCovers(b, a);
}
