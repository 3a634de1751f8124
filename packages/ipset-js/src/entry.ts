/**
 * Entries as text, the way ipset(8) writes them: `10.0.0.0/24`, `192.0.2.1`, `192.0.2.1,tcp:80`.
 */
import { addressFamilyOf, invalid, parsePrefix } from "netlink-ts";
import { COMMENT_BYTES_MAX, TIMEOUT_SECONDS_MAX } from "./limits.ts";
import { EntryFlag, type WireEntry } from "./wire.ts";

/** One member of a set. */
export interface SetEntry {
  /** `10.0.0.0/24`, `192.0.2.1` or `192.0.2.1,tcp:80`, by the type of the set. */
  readonly member: string;
  /** Seconds until it goes by itself, 0 for never; for sets made with a timeout. */
  readonly timeout?: number;
  /** An exception from the prefixes around it (hash:net). */
  readonly nomatch?: boolean;
  readonly comment?: string;
}

const PROTOCOLS: Readonly<Record<string, number>> = { tcp: 6, udp: 17, sctp: 132, udplite: 136 };
const PORT_MAX = 0xffff;

/** The attributes of an entry. Throws `EINVAL` naming the member when it is none. */
export function encodeEntry(entry: SetEntry): WireEntry {
  const [prefix, port, ...rest] = entry.member.split(",");
  if (prefix === undefined || rest.length > 0) throw notAMember(entry.member);
  const { family, length } = parsePrefix(prefix);
  checkTimeout(entry.timeout);
  checkComment(entry.comment);
  const slash = prefix.indexOf("/");
  const address = slash < 0 ? prefix : prefix.slice(0, slash);
  return {
    ip: family === 4 ? { ipv4: address } : { ipv6: address },
    ...(slash < 0 ? {} : { cidr: length }),
    ...(port === undefined ? {} : parsePort(entry.member, port)),
    ...(entry.timeout === undefined ? {} : { timeout: entry.timeout }),
    ...(entry.nomatch === true ? { flags: EntryFlag.NOMATCH } : {}),
    ...(entry.comment === undefined ? {} : { comment: entry.comment }),
  };
}

/** The text of an entry; undefined when it has no address: a type unknown to this package. */
export function decodeEntry(wire: WireEntry): SetEntry | undefined {
  const address = wire.ip?.ipv4 ?? wire.ip?.ipv6;
  if (address === undefined) return undefined;
  const host = addressFamilyOf(address) === 4 ? 32 : 128;
  const prefix =
    wire.cidr === undefined || wire.cidr === host ? address : `${address}/${wire.cidr}`;
  return {
    member: wire.port === undefined ? prefix : `${prefix},${portText(wire)}`,
    ...(wire.timeout === undefined ? {} : { timeout: wire.timeout }),
    ...(((wire.flags ?? 0) & EntryFlag.NOMATCH) !== 0 ? { nomatch: true } : {}),
    ...(wire.comment === undefined ? {} : { comment: wire.comment }),
  };
}

/** One line of `ipset save` or `ipset list`: `10.0.0.0/24 timeout 0`. */
export function formatEntry(entry: SetEntry): string {
  const timeout = entry.timeout === undefined ? "" : ` timeout ${entry.timeout}`;
  const nomatch = entry.nomatch === true ? " nomatch" : "";
  const comment = entry.comment === undefined ? "" : ` comment "${entry.comment}"`;
  return `${entry.member}${timeout}${nomatch}${comment}`;
}

/** Throws `EINVAL` when it is no timeout, in seconds; undefined is none to check. */
export function checkTimeout(seconds: number | undefined): void {
  if (seconds === undefined) return;
  if (!Number.isInteger(seconds) || seconds < 0 || seconds > TIMEOUT_SECONDS_MAX) {
    throw invalid(`not a timeout from 0 to ${TIMEOUT_SECONDS_MAX} seconds: ${seconds}`);
  }
}

function checkComment(comment: string | undefined): void {
  if (comment === undefined) return;
  const bytes = Buffer.byteLength(comment);
  if (bytes < 1 || bytes > COMMENT_BYTES_MAX || comment.includes("\0")) {
    throw invalid(`not a comment of 1 to ${COMMENT_BYTES_MAX} bytes: ${bytes} bytes`);
  }
}

function parsePort(member: string, text: string): Pick<WireEntry, "port" | "protocol"> {
  const match = /^(?:([a-z]+|\d{1,3}):)?(\d{1,5})$/.exec(text);
  if (match === null) throw notAMember(member);
  const name = match[1] ?? "tcp";
  const protocol = PROTOCOLS[name] ?? Number(name);
  const port = Number(match[2]);
  if (!(protocol <= 255) || port > PORT_MAX) throw notAMember(member);
  return { protocol, port };
}

function portText({ protocol, port }: WireEntry): string {
  const name = Object.keys(PROTOCOLS).find((key) => PROTOCOLS[key] === protocol);
  return `${name ?? protocol ?? 0}:${port}`;
}

function notAMember(member: string): Error {
  return invalid(`not a member of a set: ${JSON.stringify(member.slice(0, 80))}`);
}
