/**
 * One neighbour at work: does what its state machine asks on real connections, reads messages, and
 * tells the speaker what matters to routes. Owns at most two connections, and two only while the
 * machine decides between them.
 */
import { assert, assertNever } from "../../runtime/assert.ts";
import type { Clock, Random } from "../../runtime/clock.ts";
import type { CoarseTimers } from "../../runtime/coarse-timers.ts";
import type { Log } from "../../runtime/log.ts";
import type { LocalIdentity } from "../fsm/collision.ts";
import type { FsmEvent } from "../fsm/events.ts";
import { asHardReset } from "../fsm/graceful-restart.ts";
import type { PeerAction } from "../fsm/peer-machine.ts";
import type { EndCause } from "../fsm/state.ts";
import { HEADER_BYTES } from "../message/header.ts";
import { encodeKeepalive } from "../message/keepalive.ts";
import type { Introduction } from "../message/negotiate.ts";
import { encodeNotification } from "../message/notification.ts";
import {
  type BgpError,
  ErrorCode,
  MessageType,
  type NegotiatedSession,
  type RouteRefreshMessage,
} from "../message/types.ts";
import type { FsmStateName, PeerConfig } from "../types.ts";
import { DIAL_ANSWER_MS } from "./limits.ts";
import { Link, type LinkOwner } from "./link.ts";
import { coarseTimers, type MachineOwner, MachineRunner } from "./machine-runner.ts";
import { type ReaderHost, readMessage } from "./message-reader.ts";
import { SessionLines } from "./session-lines.ts";
import { describeCause, SessionRecord } from "./session-record.ts";
import { socketPolicy } from "./socket-policy.ts";
import {
  type Acceptance,
  type Connection,
  QUEUE_BYTES_HIGH,
  type SessionTransport,
} from "./transport.ts";
import type { WorkQueue } from "./work-queue.ts";

/** What a session asks and tells the speaker. None of these may throw. */
export interface SessionHooks {
  readonly local: LocalIdentity;
  /** Our side, as the next OPEN is to show it. */
  introduction(): Introduction;
  established(session: NegotiatedSession): void;
  /** An UPDATE's body; an error ends the session. The bytes hold until the call returns. */
  update(buffer: Uint8Array, start: number, end: number): BgpError | undefined;
  routeRefresh(message: RouteRefreshMessage): void;
  /** A KEEPALIVE came in an established session. */
  keepalive(): void;
  /** An established session ended. */
  ended(session: NegotiatedSession, cause: EndCause): void;
  /** Routes may be written again. */
  writable(): void;
  /** The state is another. */
  changed(): void;
}

export interface SessionServices {
  readonly clock: Clock;
  readonly coarse: CoarseTimers;
  readonly random: Random;
  readonly transport: SessionTransport;
  readonly work: WorkQueue;
  readonly log: Log;
  /** Of sessions that come and go. */
  readonly lines: SessionLines;
}

/** What all sessions of a speaker share. */
export function sessionServices(
  services: Omit<SessionServices, "coarse" | "work" | "lines">,
  work: WorkQueue,
): SessionServices {
  const { clock, log } = services;
  return { ...services, coarse: coarseTimers(clock), lines: new SessionLines(clock, log), work };
}

/** How to end a session. */
export interface EndOrder {
  /** Undefined = say nothing, just close. */
  readonly error: BgpError | undefined;
  readonly reason: string;
  /** Meant to be final: the peer shall not keep our routes, RFC 8538 §3. */
  readonly hard: boolean;
}

const dialledAnew: EndOrder = { error: undefined, reason: "dialled anew", hard: false };

type LinkAction = Extract<
  PeerAction,
  { type: "sendOpen" | "sendKeepalive" | "sendNotification" | "close" }
>;

export class PeerSession implements LinkOwner, MachineOwner, ReaderHost {
  readonly record: SessionRecord;
  /** Settings for the next connection; the one that stands keeps what it began with. */
  config: PeerConfig;
  /** Has the peer's name in each line. */
  log: Log;
  readonly #services: SessionServices;
  readonly #hooks: SessionHooks;
  readonly #runner: MachineRunner;
  readonly #links = new Map<number, Link>();
  /** The connection that `accept` offers while the machine decides. */
  #offered: Connection | undefined;
  #sentBytes = 0;
  #dialledAt = 0;
  #dialledPort = 0;

  constructor(config: PeerConfig, services: SessionServices, hooks: SessionHooks) {
    this.config = config;
    this.log = services.log;
    this.#services = services;
    this.#hooks = hooks;
    this.record = new SessionRecord(services.clock);
    this.#runner = new MachineRunner(services, this);
  }

  get state(): FsmStateName {
    return this.#runner.state;
  }

  /** What was negotiated, from OpenConfirm on. */
  get session(): NegotiatedSession | undefined {
    return this.#runner.session;
  }

  get connection(): Connection | undefined {
    return this.#mainLink()?.connection;
  }

  /** Our side as in the OPEN of the connection that stands. */
  get local(): LocalIdentity {
    return this.#hooks.local;
  }

  get passive(): boolean {
    return this.config.passive;
  }

  /** Routes may be sent now. */
  get canSend(): boolean {
    return this.state === "Established" && this.#mainLink()?.hasRoom === true;
  }

  /** Begins: the first dial after `delayMs`. Nothing when it has begun already. */
  start(delayMs: number): void {
    this.#runner.step({ type: "order", event: { type: "manualStart", delayMs } });
  }

  /**
   * The wait for the next dial, or for an answer to one that is not quite new, is over; the
   * back-off begins anew, for a neighbour that can be reached again may take a moment to answer.
   */
  dialNow(): void {
    const { state } = this;
    const isOld = this.#services.clock.now() - this.#dialledAt >= DIAL_ANSWER_MS;
    if (state === "Active" || isOld) this.dialAnew();
  }

  /**
   * Who waits for a dial or an answer to one begins anew, by the settings of now. So does who has
   * sent its OPEN to another port: nobody there need be a BGP speaker, and it has four minutes.
   */
  dialAnew(): void {
    const { state, connection } = this;
    const elsewhere =
      state === "OpenSent" &&
      connection?.remotePort === this.#dialledPort &&
      this.#dialledPort !== this.config.port;
    if (state !== "Active" && state !== "Connect" && !elsewhere) return;
    this.stop(dialledAnew);
    this.start(0);
  }

  /** Ends, and stays ended until `start`. */
  stop({ error, reason, hard }: EndOrder): void {
    const notification = error !== undefined && hard ? asHardReset(this.session, error) : error;
    const event: FsmEvent = { type: "manualStop", order: { notification, reason } };
    this.#runner.step({ type: "order", event });
  }

  /** A connection of the peer; undefined refuses it. */
  accept(connection: Connection): Acceptance | undefined {
    assert(!this.#runner.stepping, "connections come from the event loop");
    const id = this.#runner.nextConnection;
    this.#offered = connection;
    this.#runner.step({ type: "accepted" });
    this.#offered = undefined;
    const handler = this.#links.get(id);
    if (handler === undefined) return undefined;
    return { handler, policy: socketPolicy(this.config, this.local.as) };
  }

  /** Sends whole UPDATE and ROUTE-REFRESH messages of an established session. */
  send(buffers: readonly Uint8Array[]): void {
    const link = this.#mainLink();
    if (link === undefined || this.state !== "Established") return;
    for (const buffer of buffers) this.record.sent.addBuffer(buffer);
    link.write(buffers);
    this.#runner.sent(link.id);
  }

  linkConnected(link: Link): void {
    this.event(link, { type: "tcpConnected" });
  }

  linkClosed(link: Link, reason: string): void {
    this.#links.delete(link.id);
    this.event(link, { type: "tcpFails", reason });
  }

  linkError(link: Link, error: BgpError): void {
    this.event(link, { type: "headerError", error });
  }

  linkWritable(link: Link): void {
    if (this.isEstablished(link)) this.#hooks.writable();
  }

  linkMessage(link: Link, type: MessageType, buffer: Uint8Array, start: number, end: number): void {
    this.record.received.add(type, end - start + HEADER_BYTES);
    readMessage(this, link, type, buffer, start, end);
  }

  get expectedAs(): number | undefined {
    return this.config.remoteAs;
  }

  isEstablished(link: Link): boolean {
    return this.#runner.isEstablished(link.id);
  }

  event(link: Link, event: FsmEvent): void {
    this.#runner.on(link.id, event);
  }

  received(link: Link, event: FsmEvent): void {
    this.#runner.received(link.id, event, link.lookedAt);
  }

  update(buffer: Uint8Array, start: number, end: number): BgpError | undefined {
    return this.#hooks.update(buffer, start, end);
  }

  routeRefresh(message: RouteRefreshMessage): void {
    this.#hooks.routeRefresh(message);
  }

  keepalive(): void {
    this.#hooks.keepalive();
  }

  act(action: PeerAction): void {
    switch (action.type) {
      case "dial":
        this.#dial(action.connection);
        break;
      case "adopt":
        this.#adopt(action.connection);
        break;
      case "refuse":
        this.record.errors.add(`connection refused: ${action.reason}`);
        this.log.debug({ reason: action.reason }, "connection refused");
        break;
      case "established":
        this.#established(action.session);
        break;
      case "ended":
        this.#ended(action.cause, action.session);
        break;
      case "sendOpen":
      case "sendKeepalive":
      case "sendNotification":
      case "close": {
        const link = this.#links.get(action.connection ?? -1);
        if (link !== undefined) this.#actOnLink(link, action);
        break;
      }
      default:
        assertNever(action, "action");
    }
  }

  #actOnLink(link: Link, action: LinkAction): void {
    switch (action.type) {
      case "sendOpen": {
        const { side, open } = this.#hooks.introduction();
        link.local = side;
        this.#write(link, MessageType.open, open);
        break;
      }
      case "sendKeepalive":
        // What waits in a full queue keeps the session alive as well as this would.
        if (link.connection.queuedBytes > QUEUE_BYTES_HIGH) break;
        this.#write(link, MessageType.keepalive, encodeKeepalive());
        break;
      case "sendNotification":
        // A Cease is our doing; everything else the peer did wrong.
        if (action.error.code !== ErrorCode.cease) this.record.errors.add(action.error.reason);
        this.#write(link, MessageType.notification, encodeNotification(action.error));
        break;
      case "close":
        this.#links.delete(link.id);
        link.close(action.reset);
        break;
      default:
        assertNever(action, "action on a connection");
    }
  }

  #write(link: Link, type: MessageType, message: Uint8Array): void {
    this.record.sent.add(type, message.length);
    link.write([message]);
  }

  #dial(id: number | undefined): void {
    assert(id !== undefined, "a dial has a number");
    this.#dialledAt = this.#services.clock.now();
    const { address, port, localAddress } = this.config;
    this.#dialledPort = port;
    const link = this.#link(id);
    const policy = socketPolicy(this.config, this.local.as);
    const options = { address, port, localAddress, policy };
    link.attach(this.#services.transport.dial(options, link));
  }

  #adopt(id: number): void {
    assert(this.#offered !== undefined, "only an offered connection is adopted");
    this.#link(id).attach(this.#offered);
  }

  #link(id: number): Link {
    const link = new Link(id, this, this.#services.clock, this.#services.work);
    this.#links.set(id, link);
    return link;
  }

  #mainLink(): Link | undefined {
    const id = this.#runner.mainConnection;
    return id === undefined ? undefined : this.#links.get(id);
  }

  #established(session: NegotiatedSession): void {
    this.record.up();
    this.#sentBytes = 0;
    this.#services.lines.established(this.log, { as: session.remoteAs });
    this.#hooks.established(session);
  }

  #ended(cause: EndCause, session: NegotiatedSession | undefined): void {
    const reason = this.#explain(cause);
    // The side of a collision that lost is no failure: the other one stands.
    const stands = ["OpenSent", "OpenConfirm", "Established"].includes(this.state);
    const matters = session !== undefined || !(stands || cause.kind === "stopped");
    if (matters && cause.kind !== "collision") this.record.failed(reason, cause);
    if (session === undefined) {
      this.log.debug({ reason }, "connection ended");
      return;
    }
    this.record.down(cause);
    this.#services.lines.ended(this.log, { reason });
    this.#hooks.ended(session, cause);
  }

  /** A wrong key drops every segment without a word: the one thing that shows is silence. */
  #explain(cause: EndCause): string {
    const reason = describeCause(cause);
    const silent = cause.kind === "transport" && reason.endsWith("timed out");
    if (!silent || this.config.password === undefined) return reason;
    return `${reason}: is the peer up, and does it have the same password?`;
  }

  /**
   * What only this level knows: input that waits for its turn shows that the peer lives, and a
   * queue that is empty, or shorter by what was taken, is progress (RFC 9687).
   */
  beforeTick(): void {
    const link = this.#mainLink();
    if (link === undefined || this.state !== "Established") return;
    const event: FsmEvent = { type: "updateReceived" };
    if (link.isBehind) this.#runner.received(link.id, event, this.#services.clock.now());
    const { connection } = link;
    // Asking how much was sent costs more than all the rest; it matters where something waits.
    if (connection.queuedBytes > 0) {
      const { sentBytes } = connection;
      if (sentBytes === this.#sentBytes) return;
      this.#sentBytes = sentBytes;
    }
    this.#runner.progressed(link.id);
  }

  stateChanged(from: FsmStateName, to: FsmStateName): void {
    this.log.debug({ from, to }, "state changed");
    this.#hooks.changed();
  }
}
