/**
 * The BGP annotations of a Node (`kube-router.io/…`) as typed values, with the meaning that
 * kube-router gives them. An annotation that cannot be read is a problem that names it and says
 * what was expected; the others still count. Passwords are base64 there, bytes of text here, and
 * never part of a problem.
 *
 * `pod-cidr` and `pod-cidrs` are read with the Node itself: node-snapshot.ts.
 */
import { addressBytes, type IpAddress, parseAddress } from "../ip/address.ts";
import { isPrefix, type Prefix, parsePrefix, prefixFromBytes } from "../ip/prefix.ts";
import {
  type AnnotationPeer,
  type NamedPeers,
  peersFromLists,
  peersFromYaml,
} from "./annotation-peers.ts";
import {
  parseAs,
  parseClusterId,
  parseCommunity,
  parseUint,
  type ReportAnnotation,
} from "./annotation-values.ts";
import { ANNOTATION_ENTRIES_MAX } from "./limits.ts";
import { ANNOTATION_PREFIX, annotationField } from "./node-snapshot.ts";
import { type NodeProblem, nodeProblem, quoted } from "./problem.ts";

export interface NodeAnnotations {
  /** `node.asn`: AS of this Node when the cluster is not one full mesh. */
  readonly asn: number | undefined;
  /** `peers`, otherwise the deprecated `peer.*` lists: external peers of this Node. */
  readonly peers: readonly AnnotationPeer[];
  /** Addresses that these annotations have a peer for, which is left out because it is wrong. */
  readonly peersLeftOut: readonly IpAddress[];
  /** `rr.server`: reflects routes, with this cluster id. */
  readonly routeReflectorServer: IpAddress | undefined;
  /** `rr.client`: is a client of the reflectors; presence is what counts. */
  readonly routeReflectorClient: IpAddress | undefined;
  /** `path-prepend.as` and `path-prepend.repeat-n`, towards external peers. */
  readonly pathPrepend: { readonly as: number; readonly count: number } | undefined;
  /** `node.bgp.communities`, as u32, added towards external peers. */
  readonly communities: readonly number[];
  /** `node.bgp.customimportreject`: refused on import, longer prefixes included. */
  readonly importReject: readonly Prefix[];
  /** `bgp-local-addresses`: where to listen; empty = the Node's own addresses. */
  readonly localAddresses: readonly IpAddress[];
}

/** Names of all that are read, here and in node-snapshot.ts. */
export const NODE_ANNOTATIONS: ReadonlySet<string> = new Set([
  ...["pod-cidrs", "pod-cidr", "node.asn", "peers", "rr.server", "rr.client"],
  ...["peer.ips", "peer.asns", "peer.ports", "peer.passwords", "peer.localips"],
  ...["path-prepend.as", "path-prepend.repeat-n", "bgp-local-addresses"],
  ...["node.bgp.communities", "node.bgp.customimportreject"],
]);

export interface ReadAnnotations {
  readonly values: NodeAnnotations;
  readonly problems: readonly NodeProblem[];
}

/** Reads the annotations of a {@link NodeSnapshot}. */
export function readNodeAnnotations(
  node: string,
  annotations: ReadonlyMap<string, string>,
): ReadAnnotations {
  const problems: NodeProblem[] = [];
  const report: ReportAnnotation = (name, text, value) => {
    const field = annotationField(ANNOTATION_PREFIX + name);
    const severity = "error";
    problems.push(nodeProblem({ severity, code: "annotation-invalid", node, field, value, text }));
  };
  const reader = new Reader(annotations, report);
  const asn = reader.one("node.asn", parseAs, "is not an AS number (1 to 4294967294)");
  const { peers, leftOut: peersLeftOut } = readPeers(annotations, report);
  const values: NodeAnnotations = {
    asn,
    peers,
    peersLeftOut,
    routeReflectorServer: reader.one("rr.server", parseClusterId, CLUSTER_ID_EXPECTED),
    routeReflectorClient: reader.one("rr.client", parseClusterId, CLUSTER_ID_EXPECTED),
    pathPrepend: readPathPrepend(reader, report),
    communities: reader.list("node.bgp.communities", parseCommunity, COMMUNITY_EXPECTED),
    importReject: reader.list("node.bgp.customimportreject", parseCidr, "is not a CIDR"),
    localAddresses: reader.list("bgp-local-addresses", parseAddress, "is not an IP address"),
  };
  return { values, problems };
}

/** `node.asn` alone: of other Nodes nothing else is needed, and their `peers` are YAML. */
export function readNodeAs(annotations: ReadonlyMap<string, string>): number | undefined {
  return new Reader(annotations, () => undefined).one("node.asn", parseAs, "");
}

const CLUSTER_ID_EXPECTED = "is not a cluster id (a number up to 4294967295 or an IPv4 address)";
const COMMUNITY_EXPECTED =
  "is not a community (a number, two 16-bit numbers like 64512:100, or a well-known name)";

/** Reads annotations whose values can be shown. */
class Reader {
  private readonly annotations: ReadonlyMap<string, string>;
  private readonly report: ReportAnnotation;

  constructor(annotations: ReadonlyMap<string, string>, report: ReportAnnotation) {
    this.annotations = annotations;
    this.report = report;
  }

  /** The value, or undefined when the annotation is absent or (reported) nonsense. */
  one<T>(name: string, parse: (text: string) => T | undefined, expected: string): T | undefined {
    const text = this.annotations.get(name)?.trim();
    if (text === undefined) return undefined;
    const value = parse(text);
    if (value === undefined) this.report(name, `${expected}; it is ignored`, text);
    return value;
  }

  /** A comma list without repetitions; entries that cannot be read are reported and skipped. */
  list<T>(name: string, parse: (text: string) => T | undefined, expected: string): T[] {
    const text = this.annotations.get(name);
    if (text === undefined) return [];
    const parts = text.split(",", ANNOTATION_ENTRIES_MAX + 1).map((part) => part.trim());
    if (parts.length > ANNOTATION_ENTRIES_MAX) {
      parts.length = ANNOTATION_ENTRIES_MAX;
      this.report(name, `has too many entries; only ${ANNOTATION_ENTRIES_MAX} are read`);
    }
    const values = new Set<T>();
    for (const part of parts) {
      if (part === "") continue;
      const value = parse(part);
      if (value === undefined) this.report(name, `${expected}; it is skipped`, part);
      else values.add(value);
    }
    return [...values];
  }
}

/** With host bits it is the network around the address, as net.ParseCIDR gives kube-router. */
function parseCidr(text: string): Prefix | undefined {
  const parsed = parsePrefix(text);
  if (isPrefix(parsed)) return parsed;
  if (parsed.problem !== "host-bits") return undefined;
  const [address, length] = text.split("/");
  return prefixFromBytes(addressBytes(parseAddress(address!)!), Number(length));
}

/** Both or neither, as in kube-router. */
function readPathPrepend(
  reader: Reader,
  report: ReportAnnotation,
): { readonly as: number; readonly count: number } | undefined {
  const asName = "path-prepend.as";
  const countName = "path-prepend.repeat-n";
  const as = reader.one(asName, parseAs, "is not an AS number (1 to 4294967294)");
  const parseCount = (text: string) => parseUint(text, 255);
  const count = reader.one(countName, parseCount, "is not a number from 0 to 255");
  if (as !== undefined && count !== undefined) return { as, count };
  if (as !== undefined) report(asName, `needs ${ANNOTATION_PREFIX}${countName} beside it`);
  if (count !== undefined) report(countName, `needs ${ANNOTATION_PREFIX}${asName} beside it`);
  return undefined;
}

function readPeers(annotations: ReadonlyMap<string, string>, report: ReportAnnotation): NamedPeers {
  const yaml = annotations.get("peers");
  const { peers, leftOut } =
    yaml === undefined ? peersFromLists(annotations, report) : peersFromYaml(yaml, report);
  const source = yaml === undefined ? "peer.ips" : "peers";
  const byAddress = new Map<IpAddress, AnnotationPeer>();
  for (const peer of peers) {
    if (byAddress.has(peer.address)) {
      report(source, `names ${quoted(peer.address)} twice; the first one counts`);
    } else {
      byAddress.set(peer.address, peer);
    }
  }
  return {
    peers: [...byAddress.values()],
    leftOut: [...new Set(leftOut)].filter((address) => !byAddress.has(address)),
  };
}
