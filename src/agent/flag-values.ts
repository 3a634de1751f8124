/**
 * Texts from the command line into values. Each parser gives the value, or undefined when the text
 * is none; `expects` completes the sentence "--flag=text: expected …". Pure.
 */
import { familyOf, type IpAddress, parseAddress, UNSPECIFIED_ADDRESSES } from "../ip/address.ts";
import { isPrefix, type Prefix, parsePrefix } from "../ip/prefix.ts";
import { quoted } from "../k8s/problem.ts";

/** How one kind of flag value is read and spoken of. */
export interface ValueParser<T> {
  /** For `--help`: `<duration>`; in brackets when it may be left out. */
  readonly placeholder: string;
  /** "a duration such as 90s, from 3s to 18h12m15s". */
  readonly expects: string;
  parse(text: string): T | undefined;
  /** Of a list: what is said of each entry for which `parse` refuses the text. */
  wrongEntries?(text: string): readonly string[];
}

/** Longest flag value that is looked at; a longer one is refused like any other wrong value. */
const TEXT_MAX = 4096;

/** sun_path of Linux holds 108 bytes with the final zero. */
const SOCKET_PATH_BYTES_MAX = 107;

/** Values that kube-router's flag library reads as a boolean. */
const TRUE_TEXTS = new Set(["1", "t", "T", "true", "TRUE", "True"]);
const FALSE_TEXTS = new Set(["0", "f", "F", "false", "FALSE", "False"]);

export const booleanValue: ValueParser<boolean> = {
  placeholder: "[bool]",
  expects: "true or false",
  parse: (text) => (TRUE_TEXTS.has(text) ? true : FALSE_TEXTS.has(text) ? false : undefined),
};

/** Milliseconds for each unit of a Go duration. */
const UNIT_MS: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
};
const DURATION = /^(?:\d+(?:\.\d*)?(?:ns|us|\u00b5s|ms|s|m|h))+$/;
const DURATION_PART = /(\d+(?:\.\d*)?)(ns|us|\u00b5s|ms|s|m|h)/g;

/** Milliseconds of a Go duration (`1m30s`, `1.5h`, `0`); undefined when it is none or negative. */
export function parseDurationMs(text: string): number | undefined {
  if (text === "0") return 0;
  if (text.length > 64 || !DURATION.test(text)) return undefined;
  let total = 0;
  for (const [, number, unit] of text.matchAll(DURATION_PART)) {
    total += Number(number) * UNIT_MS[unit!]!;
  }
  return total;
}

/** Shortest Go form of whole seconds: 90 → `1m30s`, 5400 → `1h30m`. */
export function formatDuration(seconds: number): string {
  const hours = Math.floor(seconds / 3600);
  const minutes = Math.floor((seconds % 3600) / 60);
  const rest = seconds % 60;
  const text = `${hours > 0 ? `${hours}h` : ""}${minutes > 0 ? `${minutes}m` : ""}`;
  return text === "" || rest > 0 ? `${text}${rest}s` : text;
}

/** Whole seconds from `min` to `max`; `zero` allows 0 besides, with the meaning given. */
export function secondsValue(min: number, max: number, zero?: string): ValueParser<number> {
  const range = `from ${formatDuration(min)} to ${formatDuration(max)}`;
  return {
    placeholder: "<duration>",
    expects: `whole seconds as a duration such as 90s or 1m30s, ${range}${
      zero === undefined ? "" : `, or 0s for ${zero}`
    }`,
    parse(text) {
      const ms = parseDurationMs(text);
      if (ms === undefined || ms % 1000 !== 0) return undefined;
      const seconds = ms / 1000;
      if (zero !== undefined && seconds === 0) return 0;
      return seconds >= min && seconds <= max ? seconds : undefined;
    },
  };
}

/** A decimal integer from `min` to `max`. */
export function integerValue(min: number, max: number, meaning = ""): ValueParser<number> {
  return {
    placeholder: "<number>",
    expects: `a whole number from ${min} to ${max}${meaning}`,
    parse(text) {
      if (!/^\d{1,10}$/.test(text)) return undefined;
      const value = Number(text);
      return value >= min && value <= max ? value : undefined;
    },
  };
}

/** One of the private AS numbers that kube-router accepts; 0 = the default, as there. */
export const clusterAsnValue: ValueParser<number> = {
  placeholder: "<asn>",
  expects: "a private AS number: 64512 to 65535, or 4200000000 to 4294967294",
  parse(text) {
    if (!/^\d{1,10}$/.test(text)) return undefined;
    const asn = Number(text);
    if (asn === 0) return CLUSTER_ASN_DEFAULT;
    const twoOctets = asn >= 64512 && asn <= 65535;
    return twoOctets || (asn >= 4_200_000_000 && asn <= 4_294_967_294) ? asn : undefined;
  },
};

/** kube-router's AS for a full mesh. */
export const CLUSTER_ASN_DEFAULT = 64512;

/** An address to listen on; empty = all of them. */
export const listenAddressValue: ValueParser<IpAddress | "all"> = {
  placeholder: "<address>",
  expects: "an IPv4 or IPv6 address (empty = all)",
  parse: (text) => (text === "" ? "all" : parseAddress(text)),
};

/** How the BGP Identifier is chosen: the IPv4 node address, a hash of it, or a given one. */
export type RouterIdChoice = "primary" | "generate" | IpAddress;

export const routerIdValue: ValueParser<RouterIdChoice> = {
  placeholder: "<address>",
  expects: "an IPv4 address other than 0.0.0.0, or generate",
  parse(text) {
    if (text === "") return "primary";
    if (text === "generate") return "generate";
    return parseRouterId(text);
  },
};

/**
 * A BGP Identifier, as an IPv4 address. RFC 6286 §2.1: not 0, with which every peer would refuse
 * the session.
 */
export function parseRouterId(text: string): IpAddress | undefined {
  const address = parseAddress(text);
  if (address === undefined || familyOf(address) !== 4) return undefined;
  return UNSPECIFIED_ADDRESSES.includes(address) ? undefined : address;
}

/** The address that was given; undefined where it follows from the Node's. */
export function givenRouterId(choice: RouterIdChoice): IpAddress | undefined {
  return choice === "primary" || choice === "generate" ? undefined : choice;
}

/** One of a closed list. */
export function choiceValue<const T extends string>(choices: readonly T[]): ValueParser<T> {
  return {
    placeholder: `<${choices.join("|")}>`,
    expects: choices.join(" or "),
    parse: (text) => choices.find((choice) => choice === text),
  };
}

/** Any text; the empty one reads as "not given". */
export function textValue(placeholder: string, bytesMax = TEXT_MAX): ValueParser<string> {
  return {
    placeholder: `<${placeholder}>`,
    expects: `at most ${bytesMax} bytes of text without control characters`,
    parse: (text) => (isPlainText(text, bytesMax) ? text : undefined),
  };
}

/** Most entries of a comma list. */
const LIST_ENTRIES_MAX = 1024;

/** A comma list; spaces around entries do not count, an empty text is an empty list. */
export const listValue: ValueParser<readonly string[]> = {
  placeholder: "<list>",
  expects: `a comma separated list of at most ${LIST_ENTRIES_MAX} entries`,
  parse: (text) => {
    if (!isPlainText(text, LIST_ENTRIES_MAX * 64)) return undefined;
    const entries = text === "" ? [] : text.split(",").map((entry) => entry.trim());
    return entries.length > LIST_ENTRIES_MAX ? undefined : entries;
  },
};

/** A comma list of prefixes; empty = none. */
export function prefixListValue(entriesMax: number): ValueParser<readonly Prefix[]> {
  return {
    placeholder: "<prefixes>",
    expects: `at most ${entriesMax} prefixes such as 10.0.0.0/8, with commas between them`,
    parse(text) {
      const entries = listValue.parse(text);
      if (entries === undefined || entries.length > entriesMax) return undefined;
      const prefixes = entries.map(parsePrefix).filter(isPrefix);
      return prefixes.length === entries.length ? [...new Set(prefixes)] : undefined;
    },
    wrongEntries(text) {
      const entries = listValue.parse(text) ?? [];
      if (entries.length > entriesMax) return [];
      const wrong = entries.filter((entry) => !isPrefix(parsePrefix(entry)));
      return wrong.map(
        (entry) => `${quoted(entry)} is no prefix such as 10.0.0.0/8, without host bits`,
      );
    },
  };
}

/** An absolute or relative path that is not empty. */
export function pathValue(bytesMax = TEXT_MAX): ValueParser<string> {
  return {
    placeholder: "<path>",
    expects: `a path of 1 to ${bytesMax} bytes`,
    parse: (text) => (text !== "" && isPlainText(text, bytesMax) ? text : undefined),
  };
}

/** Where a Unix socket is. */
export const socketPathValue = pathValue(SOCKET_PATH_BYTES_MAX);

/** A Node name: a DNS subdomain, RFC 1123 (metadata.name of a Node). */
export const nodeNameValue: ValueParser<string> = {
  placeholder: "<name>",
  expects:
    "the name of a Node: at most 253 lower-case letters, digits, '-' and '.', " +
    "starting and ending with a letter or digit",
  parse: (text) =>
    text === "" || (text.length <= 253 && /^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$/.test(text))
      ? text
      : undefined,
};

/** http or https URL of an API server; empty = not given. */
export const urlValue: ValueParser<string> = {
  placeholder: "<url>",
  expects: "an http:// or https:// URL",
  parse(text) {
    if (text === "") return text;
    if (!isPlainText(text, TEXT_MAX) || !/^https?:\/\//.test(text)) return undefined;
    return URL.canParse(text) ? text : undefined;
  },
};

/** An absolute URL path for the metrics page. */
export const urlPathValue: ValueParser<string> = {
  placeholder: "<path>",
  expects: "a URL path such as /metrics",
  parse: (text) => (/^\/[\w.~/-]{0,255}$/.test(text) ? text : undefined),
};

function isPlainText(text: string, bytesMax: number): boolean {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused
  return Buffer.byteLength(text) <= bytesMax && !/[\u0000-\u001f\u007f]/.test(text);
}
