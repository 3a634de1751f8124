/** Public face of netlink-ts. */
export type { IpFamily, ParsedPrefix } from "./address.ts";
export { addressFamilyOf, addressText, parsePrefix } from "./address.ts";
// For packages that speak a further netlink protocol over the same socket.
export {
  type AttributeRow,
  AttributeSet,
  type AttributeTable,
  address as addressCodec,
  be16,
  be32,
  NESTED,
  NET_BYTEORDER,
  nest,
  row,
  text as textCodec,
  u8,
  u16,
  u32,
  type ValueCodec,
} from "./attribute-set.ts";
export {
  assertNever,
  Errno,
  errnoName,
  invalid,
  MalformedMessageError,
  NetlinkError,
  type NetlinkErrorDetail,
  rejectingWith,
  SystemCallError,
} from "./errors.ts";
export { FdPoller, Interest, type PolledSocket } from "./fd-poller.ts";
export {
  AddressFlag,
  type InterfaceAddress,
  type InterfaceAddressSpec,
} from "./interface-address.ts";
export { type IpTunnel, IpTunnelFlag, IpTunnelProtocol } from "./ip-tunnel.ts";
export {
  adviseMemory,
  growDescriptorTable,
  linuxSys,
  openFilesLimit,
  trimHeap,
} from "./libc.ts";
export {
  type Bridge,
  type BridgePort,
  type Link,
  type LinkFields,
  LinkFlag,
  type LinkInfo,
  type LinkSpec,
  LinkType,
  OperationalState,
  type Vxlan,
} from "./link.ts";
export { type LinkKey, Links } from "./links.ts";
export {
  type Acknowledgement,
  Flag,
  forEachAttribute,
  type Message,
  REQUEST_OFFSET,
} from "./message.ts";
export { HEADER_BYTES, MessageWriter } from "./message-writer.ts";
export type { MonitorOptions, OverrunReason } from "./monitor.ts";
export { inNetworkNamespace } from "./namespace.ts";
export {
  type Neighbour,
  type NeighbourFamily,
  NeighbourFlag,
  type NeighbourSpec,
  NeighbourState,
} from "./neighbour.ts";
export { Protocol } from "./netlink-fd.ts";
export type { ErrorFactory, MessageBatch } from "./netlink-socket.ts";
export {
  NetlinkSocket,
  type NetlinkSocketOptions,
  type Outcome,
  type SendOptions,
} from "./netlink-socket.ts";
export type { NextHopMember, NextHopObject } from "./next-hop-object.ts";
export type { NextHops } from "./next-hops.ts";
export type { AddressFilter, NeighbourFilter, RuleFilter } from "./object-kinds.ts";
export { type ObjectKind, ObjectList, type ObjectOperation } from "./object-list.ts";
export {
  type NextHop,
  type Route,
  type RouteFields,
  type RouteFilter,
  RouteFlag,
  RouteProtocol,
  RouteScope,
  type RouteSpec,
  RouteTable,
  RouteType,
} from "./route.ts";
export type { RouteExtra } from "./route-attributes.ts";
export { RouteBatch, type RoutePart, RouteStamp } from "./route-batch.ts";
export {
  type RouteEvent,
  type RouteEventListener,
  RouteMonitor,
  type RouteMonitorOptions,
  type RouteTopic,
} from "./route-monitor.ts";
export { RouteNetlink, type RouteNetlinkOptions } from "./route-netlink.ts";
export { RouteNetlinkPair } from "./route-netlink-pair.ts";
export type { RouteOperation } from "./route-operation.ts";
export { Routes } from "./routes.ts";
export { type Rule, RuleAction, RuleFlag, type RuleSpec } from "./rule.ts";
export type { SocketAddress } from "./socket-address.ts";
export {
  bindSocket,
  bindToDevice,
  clearTcpMd5Key,
  closeSocket,
  MD5_KEY_BYTES_MAX,
  openTcpSocket,
  setIpv6Only,
  setMinimumTtl,
  setReuseAddress,
  setTcpMd5Key,
  setTrafficClass,
  setTtl,
} from "./socket-options.ts";
export {
  type AcceptedSocket,
  acceptFrom,
  closeWithReset,
  connectTo,
  listenOn,
  localAddressOf,
  setNoDelay,
  socketError,
} from "./stream-socket.ts";
export type { StreamSys, Sys, Watch } from "./sys.ts";
export { AddressFamily } from "./sys.ts";
export { listenOnPath } from "./unix-socket.ts";
