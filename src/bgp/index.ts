/**
 * BGP as a library: everything that a program needs which is not the agent. docs/library.md shows
 * how; what is not here is inside matter and may change.
 *
 * `Speaker` does no I/O of its own: clock, randomness, log and network come in. `TcpTransport` and
 * `systemClock` are the machine's; a program that brings others runs the speaker in a simulation.
 */
export { compareAddresses, familyOf, type IpAddress, parseAddress } from "../ip/address.ts";
export { isPrefix, type Prefix, type PrefixProblem, parsePrefix } from "../ip/prefix.ts";
export type { Clock, Random, Timer } from "../runtime/clock.ts";
export { type Log, type LogFields, silentLog } from "../runtime/log.ts";
export { systemClock } from "../runtime/system-clock.ts";
export { ACCEPT_ALL, peerConfig, speakerConfig } from "./defaults.ts";
export type { Capability, RouteFamily } from "./message/types.ts";
export { LAST_RESORT, type NextHopMetric } from "./rib/next-hop-table.ts";
export type {
  Policy,
  PolicyActions,
  PolicyMatch,
  PolicyStatement,
  PrefixMatch,
} from "./rib/policy-types.ts";
export { TcpTransport } from "./session/tcp-transport.ts";
export type {
  Acceptance,
  Connection,
  ConnectionHandler,
  DialOptions,
  Listener,
  ListenHandler,
  ListenOptions,
  SocketPolicy,
  Transport,
} from "./session/transport.ts";
export type { Underlay } from "./speaker/underlay.ts";
export {
  type ListenStatus,
  type RibQuery,
  Speaker,
  type SpeakerServices,
} from "./speaker.ts";
export type {
  BestRoute,
  FamilyCounters,
  FsmStateName,
  GracefulRestartConfig,
  LostReason,
  MessageCounters,
  OriginatedRoute,
  PeerConfig,
  PeerStatus,
  RibPath,
  SpeakerConfig,
} from "./types.ts";
