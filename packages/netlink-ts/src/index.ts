/** Public face of netlink-ts. */
export type { IpFamily } from "./address.ts";
export { Errno, errnoName, NetlinkError, SystemCallError } from "./errors.ts";
export { linuxSys } from "./libc.ts";
export { Flag, type Message } from "./message.ts";
export { MessageWriter } from "./message-writer.ts";
export { Protocol } from "./netlink-fd.ts";
export { NetlinkSocket, type NetlinkSocketOptions, type Outcome } from "./netlink-socket.ts";
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
export {
  type RouteEvent,
  type RouteEventListener,
  RouteMonitor,
  type RouteMonitorOptions,
  type RouteTopic,
} from "./route-monitor.ts";
export { RouteNetlink, type RouteNetlinkOptions } from "./route-netlink.ts";
export { type RouteOperation, Routes } from "./routes.ts";
export type { Sys, Watch } from "./sys.ts";
