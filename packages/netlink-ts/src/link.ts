/**
 * Links (interfaces): RTM_NEWLINK, RTM_DELLINK, RTM_GETLINK.
 *
 *   ifinfomsg: | u8 family | u8 0 | u16 type | i32 index | u32 flags | u32 change | attributes … |
 *
 * What is peculiar to a kind stands in LINKINFO { KIND, DATA }, and DATA is read by the kind.
 */
import {
  AttributeSet,
  address,
  be16,
  flag,
  linkAddress,
  NESTED,
  row,
  text,
  u8,
  u32,
  type ValueCodec,
} from "./attribute-set.ts";
import { MalformedMessageError } from "./errors.ts";
import { type IpTunnel, ipTunnel, isIpTunnelKind } from "./ip-tunnel.ts";
import { forEachAttribute } from "./message.ts";
import type { MessageWriter } from "./message-writer.ts";

/** Bits of `flags` (linux/if.h). */
export const LinkFlag = {
  UP: 1,
  BROADCAST: 2,
  LOOPBACK: 8,
  POINTOPOINT: 0x10,
  RUNNING: 0x40,
  NOARP: 0x80,
  PROMISC: 0x100,
  MULTICAST: 0x1000,
  LOWER_UP: 0x10000,
} as const;

/** RFC 2863 states, as `operationalState`. */
export const OperationalState = {
  UNKNOWN: 0,
  DOWN: 2,
  LOWERLAYERDOWN: 3,
  DORMANT: 5,
  UP: 6,
} as const;

/** Hardware types, as `type` (ARPHRD_* of linux/if_arp.h). */
export const LinkType = { ETHERNET: 1, LOOPBACK: 772 } as const;

/** Interface and kind names: 15 bytes and a NUL. */
const NAME_BYTES_MAX = 15;
const ALIAS_BYTES_MAX = 255;
const HEADER_BYTES = 16;

/** Settings of a VXLAN device. */
export interface Vxlan {
  /** VNI. */
  readonly id?: number;
  /** Index of the interface that the tunnel goes through. */
  readonly underlayIndex?: number;
  /** Address that it sends from. */
  readonly local?: string;
  readonly local6?: string;
  /** 0: what the system gives packets of its own. */
  readonly ttl?: number;
  /** Whether outer packets must not be cut up: 0 no, 1 yes, 2 as the inner one says. */
  readonly df?: number;
  /** Whether entries are made of what arrives. */
  readonly learning?: boolean;
  /** UDP port; the kernel's default is 8472. */
  readonly port?: number;
}

/** Settings of a bridge. */
export interface Bridge {
  /** In hundredths of a second. */
  readonly forwardDelay?: number;
  readonly stp?: boolean;
  readonly vlanFiltering?: boolean;
}

/** A link as a port of a bridge. */
export interface BridgePort {
  /** Frames may leave by the port that they came by. */
  readonly hairpin?: boolean;
}

/** The kind of a virtual link, and the settings of that kind. */
export interface LinkInfo {
  /** `veth`, `bridge`, `vxlan`, …: nothing for a real device. */
  readonly kind?: string;
  /** The kind of the link that it belongs to (`bridge`, `bond`, `vrf`); never sent. */
  readonly portKind?: string;
  /** Settings as a port; a link that is no bridge's port takes none. */
  readonly bridgePort?: BridgePort;
  readonly vxlan?: Vxlan;
  readonly bridge?: Bridge;
  /** Of `ipip` and `ip6tnl`. */
  readonly ipTunnel?: IpTunnel;
  /** The other end of a veth pair to make; never listed. */
  readonly peer?: LinkSpec;
}

/** What can be said of a link when it is made or changed. */
export interface LinkFields {
  readonly name?: string;
  readonly mtu?: number;
  /** `02:00:00:00:00:01`. */
  readonly linkAddress?: string;
  /** Index of the bridge it belongs to; 0 to take it out. */
  readonly masterIndex?: number;
  /** Index of the link underneath (VLAN, macvlan), or of the veth peer. */
  readonly parentIndex?: number;
  readonly transmitQueueLength?: number;
  readonly alias?: string;
  /** Namespace to move it to: an open file of /run/netns/NAME, or a process. */
  readonly namespaceFd?: number;
  readonly namespacePid?: number;
  readonly info?: LinkInfo;
}

/** A link to make or to change. */
export interface LinkSpec extends LinkFields {
  readonly up?: boolean;
  /** Asks for this index; the kernel picks one otherwise. */
  readonly index?: number;
}

/** A link as the kernel has it. */
export interface Link extends LinkFields {
  readonly index: number;
  readonly name: string;
  /** {@link LinkFlag} bits. */
  readonly flags: number;
  /** ARPHRD number: {@link LinkType}, and others. */
  readonly type: number;
  /** {@link OperationalState}. */
  readonly operationalState?: number;
  readonly broadcastAddress?: string;
}

const vxlan = new AttributeSet<Vxlan>({
  id: row(1, u32),
  underlayIndex: row(3, u32),
  local: row(4, address),
  local6: row(17, address),
  ttl: row(5, u8),
  learning: row(7, flag),
  port: row(15, be16),
  df: row(29, u8),
});

const bridge = new AttributeSet<Bridge>({
  forwardDelay: row(1, u32),
  stp: row(5, {
    encode: (writer, value) => u32.encode(writer, value ? 1 : 0),
    decode: (bytes, start, end) => u32.decode(bytes, start, end) !== 0,
  }),
  vlanFiltering: row(7, flag),
});

const bridgePort = new AttributeSet<BridgePort>({ hairpin: row(4, flag) });

const kindName = text(NAME_BYTES_MAX);
const InfoAttribute = { KIND: 1, DATA: 2, PORT_KIND: 4, PORT_DATA: 5 } as const;
const VETH_PEER = 1;

/** `LINKINFO { PORT_KIND, PORT_DATA, KIND, DATA }`: as a port, then by its own kind. */
const linkInfo: ValueCodec<LinkInfo> = {
  encode(writer, info) {
    if (info.bridgePort !== undefined) {
      const portKind = writer.beginAttribute(InfoAttribute.PORT_KIND);
      kindName.encode(writer, "bridge");
      writer.endAttribute(portKind);
      const port = writer.beginAttribute(InfoAttribute.PORT_DATA | NESTED);
      bridgePort.encode(writer, info.bridgePort);
      writer.endAttribute(port);
    }
    if (info.kind === undefined) return;
    const kind = writer.beginAttribute(InfoAttribute.KIND);
    kindName.encode(writer, info.kind);
    writer.endAttribute(kind);
    const data = writer.beginAttribute(InfoAttribute.DATA | NESTED);
    if (info.vxlan !== undefined) vxlan.encode(writer, info.vxlan);
    if (info.bridge !== undefined) bridge.encode(writer, info.bridge);
    if (info.ipTunnel !== undefined) ipTunnel.encode(writer, info.ipTunnel);
    if (info.peer !== undefined) {
      const peer = writer.beginAttribute(VETH_PEER | NESTED);
      encodeLink(writer, info.peer);
      writer.endAttribute(peer);
    }
    writer.endAttribute(data);
  },
  decode(bytes, start, end) {
    let kind: string | undefined;
    let data: [number, number] | undefined;
    let portKind: string | undefined;
    let portData: [number, number] | undefined;
    forEachAttribute(bytes, start, end, (type, from, to) => {
      if (type === InfoAttribute.KIND) kind = kindName.decode(bytes, from, to);
      if (type === InfoAttribute.DATA) data = [from, to];
      if (type === InfoAttribute.PORT_KIND) portKind = kindName.decode(bytes, from, to);
      if (type === InfoAttribute.PORT_DATA) portData = [from, to];
    });
    const isPort = portKind === "bridge" && portData !== undefined;
    return {
      ...(kind === undefined ? {} : { kind }),
      ...(portKind === undefined ? {} : { portKind }),
      ...(isPort ? { bridgePort: bridgePort.decode(bytes, ...portData!) } : {}),
      ...(kind === "vxlan" && data !== undefined ? { vxlan: vxlan.decode(bytes, ...data) } : {}),
      ...(kind === "bridge" && data !== undefined ? { bridge: bridge.decode(bytes, ...data) } : {}),
      ...(kind !== undefined && isIpTunnelKind(kind) && data !== undefined
        ? { ipTunnel: ipTunnel.decode(bytes, ...data) }
        : {}),
    };
  },
};

interface Attributes extends LinkFields, Pick<Link, "operationalState" | "broadcastAddress"> {
  readonly listMask?: number;
}

const attributes: AttributeSet<Attributes> = new AttributeSet<Attributes>({
  name: row(3, text(NAME_BYTES_MAX)),
  linkAddress: row(1, linkAddress),
  broadcastAddress: row(2, linkAddress),
  mtu: row(4, u32),
  parentIndex: row(5, u32),
  masterIndex: row(10, u32),
  transmitQueueLength: row(13, u32),
  operationalState: row(16, u8),
  namespacePid: row(19, u32),
  namespaceFd: row(28, u32),
  alias: row(20, text(ALIAS_BYTES_MAX)),
  listMask: row(29, u32),
  info: row(18 | NESTED, linkInfo),
});

/** Leave out counters, which are most of a link's listing (RTEXT_FILTER_SKIP_STATS). */
const SKIP_STATISTICS = 8;

/** The body of RTM_GETLINK: one link by name or index, or all. */
export function encodeLinkQuery(writer: MessageWriter, link: LinkSpec): void {
  encodeLink(writer, link);
  attributes.encode(writer, { listMask: SKIP_STATISTICS });
}

/** The body of RTM_NEWLINK and RTM_DELLINK. */
export function encodeLink(writer: MessageWriter, link: LinkSpec): void {
  writer.zeros(2);
  writer.u16(0);
  u32.encode(writer, link.index ?? 0);
  writer.u32(link.up === true ? LinkFlag.UP : 0);
  writer.u32(link.up === undefined ? 0 : LinkFlag.UP);
  attributes.encode(writer, link);
}

/** A link message's body; undefined when it is not a link's (bridge ports have such messages). */
export function decodeLink(bytes: Buffer, start: number, end: number): Link | undefined {
  if (end - start < HEADER_BYTES) throw new MalformedMessageError("a link without its header");
  const { name, ...found } = attributes.decode(bytes, start + HEADER_BYTES, end);
  if (bytes[start] !== 0 || name === undefined) return undefined;
  return {
    index: bytes.readInt32LE(start + 4),
    name,
    type: bytes.readUInt16LE(start + 2),
    flags: bytes.readUInt32LE(start + 8),
    ...found,
  };
}
