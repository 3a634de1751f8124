/**
 * The shape of the configuration file (`--config`, YAML): what may stand where, and what each
 * scalar means. Names are the field's standard terms; unknown keys are refused, because a mistyped
 * key that is silently ignored is a policy that is silently not there.
 *
 * Secrets never stand in the file: `passwordFile` names a file that holds the TCP MD5 key.
 */
import * as z from "zod";
import { ADDRESS_BITS, type IpAddress, isLinkLocal, parseAddress } from "../../ip/address.ts";
import { canBeNextHop, parsePeerAddress } from "../../ip/host-address.ts";
import { isPrefix, type Prefix, parsePrefix, prefixFamily, prefixLength } from "../../ip/prefix.ts";
import { parseAs, parseClusterId, parseCommunity } from "../../k8s/annotation-values.ts";
import { NEXT_HOPS_MAX } from "../../routes/limits.ts";
import { parseDurationMs, parseRouterId } from "../flag-values.ts";

/** Bounds of the file: beyond them it is refused whole. */
export const CONFIG_BYTES_MAX = 4 * 1024 * 1024;
const PEERS_MAX = 10_000;
const POLICIES_MAX = 1000;
const ENTRIES_MAX = 100_000;
const TEXT_MAX = 255;

/** For `error`: a value that is there has one text for all that can be wrong with it. */
function expected(what: string) {
  return ({ input }: { readonly input?: unknown }) =>
    input === undefined ? undefined : `expected ${what}`;
}

/** A scalar read by `parse`; undefined = refused with "expected <expects>". */
function scalar<T>(expects: string, parse: (text: string) => T | undefined) {
  const either = z.union([z.string(), z.number()], { error: expected(expects) });
  return either.transform((value, context): T => {
    const parsed = parse(String(value));
    if (parsed !== undefined) return parsed;
    context.addIssue({ code: "custom", message: `expected ${expects}` });
    return z.NEVER;
  });
}

const address = scalar<IpAddress>("an IPv4 or IPv6 address", parseAddress);
const peerAddress = scalar<IpAddress>(
  "an IPv4 or IPv6 address that a peer can have",
  parsePeerAddress,
);
const nextHop = scalar<IpAddress>("an address that peers take as a next hop", (text) => {
  const parsed = parseAddress(text);
  return parsed !== undefined && canBeNextHop(parsed) ? parsed : undefined;
});
/** A link-local address is had on its interface alone, and there is no key for one here. */
const listenAddress = scalar<IpAddress>(
  "an IPv4 or IPv6 address that is not link-local (:: takes those too)",
  (text) => {
    const parsed = parseAddress(text);
    return parsed !== undefined && !isLinkLocal(parsed) ? parsed : undefined;
  },
);
const routerId = scalar<IpAddress>("an IPv4 address other than 0.0.0.0", parseRouterId);
const prefix = scalar<Prefix>("a prefix without host bits, such as 10.0.0.0/8", (text) => {
  const parsed = parsePrefix(text);
  return isPrefix(parsed) ? parsed : undefined;
});
const as = scalar<number>("an AS number from 1 to 4294967294", parseAs);
const remoteAs = scalar<number | "any">("an AS number from 1 to 4294967294, or any", (text) =>
  text === "any" ? text : parseAs(text),
);
const clusterId = scalar<IpAddress>("a cluster id: an IPv4 address or a number", parseClusterId);
const community = scalar<number>("a community such as 64512:100 or no-export", parseCommunity);
const largeCommunity = scalar<string>("a large community such as 64512:1:2", (text) => {
  const parts = text.split(":");
  const valid = parts.every((part) => /^\d{1,10}$/.test(part) && Number(part) <= 0xffff_ffff);
  return parts.length === 3 && valid ? parts.map(Number).join(":") : undefined;
});
const holdTime = scalar<number>("0, or a hold time from 3s to 65535s", (text) => {
  const seconds = secondsOf(text);
  return seconds === 0 || (seconds !== undefined && seconds >= 3 && seconds <= 65_535)
    ? seconds
    : undefined;
});
const duration = (max: number) =>
  scalar<number>(`a duration up to ${max}s`, (text) => {
    const seconds = secondsOf(text);
    return seconds !== undefined && seconds <= max ? seconds : undefined;
  });

/** A whole number. */
function whole(min: number, max: number) {
  const text = `expected a whole number from ${min} to ${max}`;
  // Endless ones, and what is no number at all (.inf, .nan), count as numbers in YAML.
  const error = ({ input }: { readonly input?: unknown }) =>
    typeof input === "number" ? text : undefined;
  const within = (value: number) => Number.isInteger(value) && value >= min && value <= max;
  return z.number({ error }).refine(within, text);
}

const port = whole(1, 65_535);
const name = z
  .string()
  .regex(
    /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/,
    "expected a name of letters, digits, - . _ (63 at most)",
  );

/** Whole seconds of `90` or of a duration such as `1m30s`. */
function secondsOf(text: string): number | undefined {
  if (/^\d{1,6}$/.test(text)) return Number(text);
  const ms = parseDurationMs(text);
  return ms === undefined || ms % 1000 !== 0 ? undefined : ms / 1000;
}

const prefixRange = z.strictObject({
  prefix,
  ge: whole(0, 128).optional(),
  le: whole(0, 128).optional(),
});

const prefixMatch = z.union([
  prefix.transform((value) => ({ prefix: value, ge: undefined, le: undefined })),
  prefixRange,
]);

/**
 * The lengths of prefixes that an entry matches, in bits, both included: its own and no other
 * unless told; with `ge` alone up to the longest of the family.
 */
export function matchedLengths({ prefix, ge, le }: z.output<typeof prefixMatch>): {
  readonly ge: number;
  readonly le: number;
} {
  const own = prefixLength(prefix);
  const longest = ADDRESS_BITS[prefixFamily(prefix)];
  return { ge: ge ?? own, le: le ?? (ge === undefined ? own : longest) };
}

const match = z.strictObject({
  prefixes: z.array(prefixMatch).min(1).max(ENTRIES_MAX).optional(),
  communities: z.array(community).min(1).max(ENTRIES_MAX).optional(),
  largeCommunities: z.array(largeCommunity).min(1).max(ENTRIES_MAX).optional(),
  asPathLengthMin: whole(0, 1024).optional(),
  asPathLengthMax: whole(0, 1024).optional(),
  originated: z.boolean().optional(),
});

const prepend = z.strictObject({ as, count: whole(1, 64) });

const set = z.strictObject({
  localPref: whole(0, 0xffff_ffff).optional(),
  med: whole(0, 0xffff_ffff).optional(),
  addCommunities: z.array(community).max(255).optional(),
  removeCommunities: z.array(community).max(255).optional(),
  addLargeCommunities: z.array(largeCommunity).max(255).optional(),
  nextHopSelf: z.boolean().optional(),
  prepend: prepend.optional(),
});

const statement = z.strictObject({
  name: name.optional(),
  match: match.optional(),
  set: set.optional(),
  result: z.enum(["accept", "reject", "next"]),
});

const policy = z.strictObject({
  name,
  default: z.enum(["accept", "reject"]).default("reject"),
  statements: z.array(statement).max(ENTRIES_MAX).default([]),
});

const gracefulRestart = z.strictObject({
  enabled: z.boolean().optional(),
  restartTime: duration(4095).optional(),
  notification: z.boolean().optional(),
  longLivedStaleTime: duration(0xff_ffff).optional(),
});

const maximumPrefixes = z.strictObject({
  limit: whole(1, 0xffff_ffff),
  warningPercent: whole(1, 100).default(75),
  restart: duration(86_400).default(0),
});

/** What a peer and a peer group have in common; a peer's own value wins over its group's. */
const session = {
  remoteAs: remoteAs.optional(),
  localAs: as.optional(),
  localAddress: address.optional(),
  port: port.optional(),
  passive: z.boolean().optional(),
  holdTime: holdTime.optional(),
  families: z
    .array(z.enum(["ipv4", "ipv6"]))
    .min(1)
    .max(2)
    .optional(),
  passwordFile: z.string().min(1).max(4096).optional(),
  ttlSecurity: z.boolean().optional(),
  multihopTtl: whole(1, 255).optional(),
  bindInterface: z.string().min(1).max(15).optional(),
  routeReflectorClient: z.boolean().optional(),
  nextHopSelf: z.boolean().optional(),
  import: name.optional(),
  export: name.optional(),
  gracefulRestart: gracefulRestart.optional(),
  enhancedRouteRefresh: z.boolean().optional(),
  extendedMessage: z.boolean().optional(),
  addPath: z.enum(["none", "receive", "send", "both"]).optional(),
  maximumPrefixes: maximumPrefixes.optional(),
  shutdown: z
    .union([z.boolean(), z.string()], { error: expected("true or false, or text") })
    .refine((value) => typeof value === "boolean" || value.length <= TEXT_MAX, {
      error: `expected at most ${TEXT_MAX} characters`,
    })
    .optional(),
};

const peerGroup = z.strictObject({ name, ...session });
const peer = z.strictObject({ name, address: peerAddress, group: name.optional(), ...session });

const network = z.strictObject({
  prefix,
  nextHop: nextHop.optional(),
  communities: z.array(community).max(255).default([]),
  med: whole(0, 0xffff_ffff).optional(),
});

const listen = z.strictObject({ address: listenAddress, port: port.optional() });

const global = z.strictObject({
  as: as.optional(),
  routerId: routerId.optional(),
  hostName: name.optional(),
  listen: z.array(listen).max(64).optional(),
  clusterId: clusterId.optional(),
  maximumPaths: whole(1, NEXT_HOPS_MAX).optional(),
});

export const configFileSchema = z.strictObject({
  global: global.default({}),
  policies: z.array(policy).max(POLICIES_MAX).default([]),
  peerGroups: z.array(peerGroup).max(PEERS_MAX).default([]),
  peers: z.array(peer).max(PEERS_MAX).default([]),
  networks: z.array(network).max(ENTRIES_MAX).default([]),
});

/** The keys of each place; of a place the names on the way to it, `peers.gracefulRestart`. */
export const KEYS_BY_PLACE: ReadonlyMap<string, readonly string[]> = new Map(
  Object.entries({
    "": configFileSchema,
    global,
    "global.listen": listen,
    policies: policy,
    "policies.statements": statement,
    "policies.statements.match": match,
    "policies.statements.match.prefixes": prefixRange,
    "policies.statements.set": set,
    "policies.statements.set.prepend": prepend,
    peerGroups: peerGroup,
    "peerGroups.gracefulRestart": gracefulRestart,
    "peerGroups.maximumPrefixes": maximumPrefixes,
    peers: peer,
    "peers.gracefulRestart": gracefulRestart,
    "peers.maximumPrefixes": maximumPrefixes,
    networks: network,
  }).map(([place, section]) => [place, Object.keys(section.shape)]),
);

/** The keys of the place at the end of a path; none where no keys belong. */
export function keysAt(path: readonly PropertyKey[]): readonly string[] {
  return KEYS_BY_PLACE.get(path.filter((part) => typeof part === "string").join(".")) ?? [];
}

/** Keys that the file may have somewhere, and the one that is missing in it on purpose. */
export const KEY_NAMES: ReadonlySet<string> = new Set([
  "password",
  ...[...KEYS_BY_PLACE.values()].flat(),
]);

export type ConfigFile = z.output<typeof configFileSchema>;
export type PeerSection = ConfigFile["peers"][number];
export type PeerGroupSection = ConfigFile["peerGroups"][number];
export type PolicySection = ConfigFile["policies"][number];
