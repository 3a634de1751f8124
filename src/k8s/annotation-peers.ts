/**
 * External peers in Node annotations: the YAML list of `kube-router.io/peers` and the deprecated
 * parallel comma lists `peer.ips`, `peer.asns`, `peer.ports`, `peer.passwords`, `peer.localips`.
 * In the lists a mistake refuses all of them, since entries would otherwise pair up wrongly; in
 * the YAML list only the entry that is wrong. Passwords never appear in a problem, and neither
 * does YAML source text.
 */
import { LineCounter } from "yaml";
import { familyOf, type IpAddress, parseAddress } from "../ip/address.ts";
import { parsePeerAddress } from "../ip/host-address.ts";
import { isJsonObject, type JsonObject } from "../runtime/json.ts";
import { yamlDocument } from "../runtime/yaml.ts";
import {
  PASSWORD_BYTES_MAX,
  parseAs,
  parsePort,
  parseUint,
  type ReportAnnotation,
} from "./annotation-values.ts";
import { ANNOTATION_ENTRIES_MAX } from "./limits.ts";
import { keyText, quoted } from "./problem.ts";

/** BFD towards a peer, as far as the annotation gives it; times in milliseconds. */
export interface AnnotationBfd {
  readonly enabled: boolean;
  readonly port: number | undefined;
  readonly detectionMultiplier: number | undefined;
  readonly requiredMinRxMs: number | undefined;
  readonly desiredMinTxMs: number | undefined;
}

export interface AnnotationPeer {
  readonly address: IpAddress;
  readonly as: number;
  /** Undefined = the standard port. */
  readonly port: number | undefined;
  /** Source address of the session; undefined = as for other peers. */
  readonly localAddress: IpAddress | undefined;
  /** Decoded TCP MD5 key. Never log it. */
  readonly password: string | undefined;
  readonly bfd: AnnotationBfd | undefined;
}

/** What an annotation says of peers. */
export interface NamedPeers {
  readonly peers: readonly AnnotationPeer[];
  /** Addresses of those that are left out for something else that is wrong with them. */
  readonly leftOut: readonly IpAddress[];
}

const PEER_ADDRESS = "an IP address that a peer can have";

const NOBODY: NamedPeers = { peers: [], leftOut: [] };

/** Keys of an entry, to name a misspelt one. */
const PEER_KEYS: ReadonlySet<string> = new Set([
  ...["remoteip", "remoteasn", "localip", "password", "port", "bfd"],
]);

/** Peers of the YAML list; entries that are wrong are reported and left out. */
export function peersFromYaml(text: string, report: ReportAnnotation): NamedPeers {
  const entries = parseYamlList(text, report);
  const peers: AnnotationPeer[] = [];
  const leftOut: IpAddress[] = [];
  for (const [i, entry] of entries.entries()) {
    const complain = (problem: string) => report("peers", `entry ${i + 1}: ${problem}`);
    if (!isJsonObject(entry)) {
      complain("is not a mapping with remoteip and remoteasn; it is left out");
      continue;
    }
    const peer = peerFromEntry(entry, complain);
    if (typeof peer === "object") peers.push(peer);
    else if (peer !== undefined) leftOut.push(peer);
  }
  return { peers, leftOut };
}

/**
 * The library's messages quote the source, which may hold a password: only the place is told, and
 * what it would say on standard error is not asked for.
 */
function parseYamlList(text: string, report: ReportAnnotation): unknown[] {
  const lines = new LineCounter();
  const document = yamlDocument(text, lines);
  const error = document.errors[0];
  if (error !== undefined) {
    const { line, col } = lines.linePos(error.pos[0]);
    report("peers", `is not YAML: line ${line}, column ${col} (${error.code}); it is ignored`);
    return [];
  }
  let list: unknown;
  try {
    list = document.toJS({ maxAliasCount: 0 });
  } catch {
    report("peers", "is not a plain YAML list (aliases are not allowed); it is ignored");
    return [];
  }
  if (list === null) return [];
  if (!Array.isArray(list)) {
    report("peers", "is not a YAML list of peers; it is ignored");
    return [];
  }
  if (list.length > ANNOTATION_ENTRIES_MAX) {
    report("peers", `has more than ${ANNOTATION_ENTRIES_MAX} entries; the rest is not read`);
  }
  return list.slice(0, ANNOTATION_ENTRIES_MAX);
}

type Complain = (problem: string) => void;

/** The peer; of one that is left out its address, where that can be read. */
function peerFromEntry(
  entry: JsonObject,
  complain: Complain,
): AnnotationPeer | IpAddress | undefined {
  const unknownKey = Object.keys(entry).find((key) => !PEER_KEYS.has(key));
  if (unknownKey !== undefined) {
    const named = keyText(unknownKey, PEER_KEYS, entry[unknownKey] === null);
    complain(`has no use for ${quoted(named)} (known: ${[...PEER_KEYS].join(", ")})`);
  }
  const fields = new EntryFields(entry, complain);
  const address = fields.read("remoteip", parsePeerAddress, PEER_ADDRESS);
  const as = fields.read("remoteasn", parseAs, "an AS number (1 to 4294967294)");
  const localAddress = fields.read("localip", parseAddress, "an IP address");
  const port = fields.read("port", parsePort, "a port (1 to 65535)");
  const password = fields.read("password", decodePassword, PASSWORD_EXPECTED, "secret");
  const bfd = readBfd(entry["bfd"], complain);
  if (address === undefined && !fields.wrong.has("remoteip")) fields.missing("remoteip");
  if (as === undefined && !fields.wrong.has("remoteasn")) fields.missing("remoteasn");
  if (address === undefined || as === undefined || fields.wrong.size > 0) return address;
  if (localAddress !== undefined && familyOf(localAddress) !== familyOf(address)) {
    complain("localip and remoteip are of different families; it is left out");
    return address;
  }
  return { address, as, port, localAddress, password, bfd };
}

const PASSWORD_EXPECTED = `base64 of a password of 1 to ${PASSWORD_BYTES_MAX} bytes`;

/** Scalars of one YAML entry: text or number alike. */
class EntryFields {
  readonly wrong = new Set<string>();
  private readonly entry: JsonObject;
  private readonly complain: Complain;

  constructor(entry: JsonObject, complain: Complain) {
    this.entry = entry;
    this.complain = complain;
  }

  /** The field's value; undefined when absent, or wrong (then reported). */
  read<T>(
    key: string,
    parse: (text: string) => T | undefined,
    expected: string,
    secret?: "secret",
  ): T | undefined {
    const raw = this.entry[key];
    if (raw === undefined || raw === null) return undefined;
    const scalar = typeof raw === "string" || typeof raw === "number";
    const value = scalar ? parse(String(raw)) : undefined;
    if (value === undefined) {
      this.wrong.add(key);
      const shown = secret === undefined ? `${quoted(raw)} ` : "";
      this.complain(`${key} ${shown}is not ${expected}; the entry is left out`);
    }
    return value;
  }

  missing(key: string): void {
    this.complain(`${key} is missing; the entry is left out`);
  }
}

function readBfd(value: unknown, complain: Complain): AnnotationBfd | undefined {
  if (value === undefined || value === null) return undefined;
  if (!isJsonObject(value)) {
    complain("bfd is not a mapping; it is ignored");
    return undefined;
  }
  const fields = new EntryFields(value, (problem) => complain(`bfd: ${problem}`));
  const milliseconds = (text: string) => parseUint(text, 0xffff_ffff);
  const multiplier = (text: string) => parseUint(text, 255) || undefined;
  return {
    enabled: value["enabled"] === true,
    port: fields.read("port", parsePort, "a port (1 to 65535)"),
    detectionMultiplier: fields.read("detection_multiplier", multiplier, "1 to 255"),
    requiredMinRxMs: fields.read("required_min_rx_interval", milliseconds, "milliseconds"),
    desiredMinTxMs: fields.read("desired_min_tx_interval", milliseconds, "milliseconds"),
  };
}

/** Peers of the deprecated lists: all or none. */
export function peersFromLists(
  annotations: ReadonlyMap<string, string>,
  report: ReportAnnotation,
): NamedPeers {
  const names = ["peer.ips", "peer.asns", "peer.ports", "peer.passwords", "peer.localips"];
  if (!names.some((name) => annotations.has(name))) return NOBODY;
  const lists = new ParallelLists(annotations, report);
  const addresses = lists.column("peer.ips", parsePeerAddress, PEER_ADDRESS);
  const asNumbers = lists.column("peer.asns", parseAs, "an AS number (1 to 4294967294)");
  if (!annotations.has("peer.ips") || !annotations.has("peer.asns")) {
    lists.fail("peer.ips", "and peer.asns are both needed; the peer.* annotations are ignored");
    return { peers: [], leftOut: addressesIn(annotations) };
  }
  const count = addresses.length;
  const ports = lists.column("peer.ports", parsePort, "a port (1 to 65535)", { empty: true });
  const localAddresses = lists.column("peer.localips", parseAddress, "an IP address", {
    empty: true,
  });
  const passwords = lists.column("peer.passwords", decodePassword, PASSWORD_EXPECTED, {
    empty: true,
    secret: true,
  });
  const columns = { asNumbers, ports, localAddresses, passwords };
  lists.sameLength(count, columns);
  for (const [i, local] of localAddresses.entries()) {
    const address = addresses[i];
    if (local === undefined || address === undefined) continue;
    if (familyOf(local) === familyOf(address)) continue;
    const text = `entry ${i + 1} and that of peer.ips are of different families`;
    lists.fail("peer.localips", `${text}; all peer.* are ignored`);
  }
  if (lists.failed) return { peers: [], leftOut: addressesIn(annotations) };
  const peers = addresses.map((address, i) => ({
    address: address!,
    as: asNumbers[i]!,
    port: ports[i],
    localAddress: localAddresses[i],
    password: passwords[i],
    bfd: undefined,
  }));
  return { peers, leftOut: [] };
}

/** What can be read of `peer.ips`, whatever is wrong beside it. */
function addressesIn(annotations: ReadonlyMap<string, string>): readonly IpAddress[] {
  const parts = (annotations.get("peer.ips") ?? "").split(",", ANNOTATION_ENTRIES_MAX);
  return parts.flatMap((part) => parseAddress(part.trim()) ?? []);
}

/** Comma lists that belong together by position. */
class ParallelLists {
  failed = false;
  private readonly annotations: ReadonlyMap<string, string>;
  private readonly report: ReportAnnotation;

  constructor(annotations: ReadonlyMap<string, string>, report: ReportAnnotation) {
    this.annotations = annotations;
    this.report = report;
  }

  fail(name: string, text: string): void {
    this.failed = true;
    this.report(name, text);
  }

  /** One value an entry; undefined for an empty entry where those are allowed. */
  column<T>(
    name: string,
    parse: (text: string) => T | undefined,
    expected: string,
    options: { readonly empty?: boolean; readonly secret?: boolean } = {},
  ): (T | undefined)[] {
    const text = this.annotations.get(name);
    if (text === undefined || text.trim() === "") return [];
    const parts = text.split(",", ANNOTATION_ENTRIES_MAX + 1).map((part) => part.trim());
    if (parts.length > ANNOTATION_ENTRIES_MAX) {
      this.fail(name, `has more than ${ANNOTATION_ENTRIES_MAX} entries; all peer.* are ignored`);
      return [];
    }
    return parts.map((part, i) => {
      if (part === "" && options.empty === true) return undefined;
      const value = parse(part);
      if (value === undefined) {
        const shown = options.secret === true ? "" : ` ${quoted(part)}`;
        this.fail(name, `entry ${i + 1}${shown} is not ${expected}; all peer.* are ignored`);
      }
      return value;
    });
  }

  /** Optional lists may be absent, but not of another length. */
  sameLength(
    count: number,
    columns: {
      readonly asNumbers: readonly unknown[];
      readonly ports: readonly unknown[];
      readonly localAddresses: readonly unknown[];
      readonly passwords: readonly unknown[];
    },
  ): void {
    const check = (name: string, length: number, optional: boolean) => {
      if (length === count || (optional && length === 0)) return;
      this.fail(name, `has ${length} entries and peer.ips has ${count}; all peer.* are ignored`);
    };
    check("peer.asns", columns.asNumbers.length, false);
    check("peer.ports", columns.ports.length, true);
    check("peer.localips", columns.localAddresses.length, true);
    check("peer.passwords", columns.passwords.length, true);
  }
}

function decodePassword(text: string): string | undefined {
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(text) || text.length % 4 !== 0) return undefined;
  const bytes = Buffer.from(text, "base64");
  if (bytes.length === 0 || bytes.length > PASSWORD_BYTES_MAX) return undefined;
  const password = bytes.toString("utf8");
  return Buffer.from(password, "utf8").equals(bytes) ? password : undefined;
}
