/**
 * The injector's process: one session, dialled; takes routes as JSON commands and answers counts.
 * Arguments: one JSON text, {@link InjectorOptions}.
 */
import { connect, type Socket } from "node:net";
import type { IpFamily } from "../../../src/ip/address.ts";
import { answerCommands } from "../json-commands.ts";
import type { TestRoute } from "./peer.ts";
import { attributesIn, prefixesIn } from "./wire-decode.ts";
import {
  announcement,
  attribute,
  END_OF_RIB,
  message,
  open,
  TYPE,
  withdrawal,
} from "./wire-encode.ts";

export interface InjectorOptions {
  readonly localAddress: string;
  readonly remoteAddress: string;
  readonly as: number;
  readonly routerId: string;
  /** Which way paths of the session have identifiers; the other side must agree. */
  readonly addPath?: "receive" | "send";
}

/** Many prefixes at once. */
export interface BulkOrder {
  readonly route: TestRoute;
  /** Prefixes in all, and in each UPDATE. */
  readonly total: number;
  readonly each: number;
  /** Different attribute sets, told apart by a community, one after another. */
  readonly sets: number;
}

export interface WithdrawOrder {
  readonly prefixes: readonly string[];
  readonly pathId: number | undefined;
}

const RETRY_MS = 200;
const KEEPALIVE_MS = 30_000;

const options = JSON.parse(process.argv[2]!) as InjectorOptions;
/** IPv4 and IPv6 unicast, RFC 7911 §4. */
const ADD_PATH = { receive: "45080001010100020101", send: "45080001010200020102" } as const;
const CAPABILITIES = options.addPath === undefined ? [] : [ADD_PATH[options.addPath]];

let socket: Socket | undefined;
let established = false;
let pending = Buffer.alloc(0);
let error = "";
/** What the other side has announced and not withdrawn, see `Injector.attributes`. */
const heard = new Map<string, string>();
/** The last UPDATE of each path, to be repeated; what `bulk` has told is not. */
const told = new Map<string, Buffer>();

function dial(): void {
  const { localAddress, remoteAddress } = options;
  pending = Buffer.alloc(0);
  socket = connect({ host: remoteAddress, port: 179, localAddress });
  socket.on("connect", () => socket?.write(open(options.as, options.routerId, CAPABILITIES)));
  socket.on("data", take);
  socket.on("error", (problem) => {
    error ||= problem.message;
  });
  socket.on("close", () => {
    established = false;
    heard.clear();
    told.clear();
    setTimeout(dial, RETRY_MS);
  });
}

function take(chunk: Buffer): void {
  pending = Buffer.concat([pending, chunk]);
  let at = 0;
  while (pending.length - at >= 19) {
    const length = pending.readUInt16BE(at + 16);
    if (pending.length - at < length) break;
    receive(pending[at + 18]!, pending.subarray(at + 19, at + length));
    at += length;
  }
  pending = pending.subarray(at);
}

function receive(type: number, body: Buffer): void {
  if (type === TYPE.open) socket?.write(message(TYPE.keepalive, new Uint8Array()));
  else if (type === TYPE.keepalive) established = true;
  else if (type === TYPE.notification) error = `NOTIFICATION ${body[0]}/${body[1]}`;
  else if (type === TYPE.update) count(body);
  // RFC 2918 §4.
  else if (type === TYPE.refresh) for (const update of told.values()) socket?.write(update);
}

function count(body: Buffer): void {
  const withdrawnEnd = 2 + body.readUInt16BE(0);
  const nlriStart = withdrawnEnd + 2 + body.readUInt16BE(withdrawnEnd);
  const { attributes, reach, unreach } = readAttributes(body.subarray(withdrawnEnd + 2, nlriStart));
  const withdrawn = [...keysOf(4, body.subarray(2, withdrawnEnd)), ...unreach];
  for (const key of withdrawn) heard.delete(key);
  const announced = [...keysOf(4, body.subarray(nlriStart)), ...reach];
  for (const key of announced) heard.set(key, attributes);
}

function keysOf(family: IpFamily, nlri: Buffer): string[] {
  const idBytes = options.addPath === "receive" ? 4 : 0;
  return prefixesIn(nlri, idBytes).map((each) => `${family} ${each}`);
}

/** The list without prefixes, and those of MP_REACH_NLRI and MP_UNREACH_NLRI. */
function readAttributes(list: Buffer) {
  const kept: Buffer[] = [];
  const [reach, unreach]: string[][] = [[], []];
  for (const { flags, type, value } of attributesIn(list)) {
    if (type !== 14 && type !== 15) kept.push(attribute(flags, type, value));
    if (type === 15) unreach!.push(...keysOf(familyOfAfi(value), value.subarray(3)));
    if (type !== 14) continue;
    const end = 4 + value[3]!;
    kept.push(attribute(flags, type, value.subarray(4, end)));
    // One reserved octet.
    reach!.push(...keysOf(familyOfAfi(value), value.subarray(end + 1)));
  }
  return { attributes: Buffer.concat(kept).toString("hex"), reach: reach!, unreach: unreach! };
}

function familyOfAfi(value: Buffer): IpFamily {
  return value.readUInt16BE(0) === 1 ? 4 : 6;
}

function keyOf(prefix: string, pathId = 0): string {
  return `${prefix} ${pathId}`;
}

/** Prefixes /24 from 20.0.0.0 on. */
function bulk({ route, total, each, sets }: BulkOrder): void {
  const prefixOf = (n: number) => `${20 + (n >> 16)}.${(n >> 8) & 255}.${n & 255}.0/24`;
  for (let from = 0; from < total; from += each) {
    const length = Math.min(each, total - from);
    const prefixes = Array.from({ length }, (_, index) => prefixOf(from + index));
    const set = (from / each) % sets;
    socket?.write(announcement({ ...route, communities: [`65100:${set}`] }, prefixes));
  }
}

answerCommands({
  state: () => ({ established, error }),
  announce: (routes) => {
    for (const route of routes as TestRoute[]) {
      const update = announcement(route, [route.prefix]);
      told.set(keyOf(route.prefix, route.pathId), update);
      socket?.write(update);
    }
  },
  withdraw: (order) => {
    const { prefixes, pathId } = order as WithdrawOrder;
    for (const prefix of prefixes) {
      told.delete(keyOf(prefix, pathId));
      socket?.write(withdrawal([prefix], pathId));
    }
  },
  endOfRib: () => {
    for (const marker of END_OF_RIB) socket?.write(marker);
  },
  bulk: (order) => bulk(order as BulkOrder),
  heard: () => heard.size,
  attributes: () => Object.fromEntries(heard),
});
setInterval(() => {
  if (established) socket?.write(message(TYPE.keepalive, new Uint8Array()));
}, KEEPALIVE_MS);
dial();
