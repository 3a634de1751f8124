/**
 * One neighbour: its state machine, and beside it at most one tracked connection while a collision
 * is undecided (RFC 4271 §6.8) or while a restarted peer has not shown itself (RFC 4724 §4.2). Pure
 * like `step`; connections are numbers here, the session gives them sockets.
 *
 * How a collision is decided. When both OPENs were sent before either answer came, both speakers
 * see the same picture, and when the second OPEN comes the higher BGP Identifier's connection
 * stays, even if the other one is Established by then. When a KEEPALIVE of ours is out already
 * (OpenConfirm), the peer will reach Established on that connection before it can see an OPEN on
 * another: so none is sent, a new connection is refused and a dial under way is dropped. Either
 * way both ends drop the same one; there is no round in which both drop their own and wait.
 * Deviation: RFC 4271 §6.8 would wait for the new connection's OPEN in OpenConfirm as well.
 *
 * An Established session and a new connection: a peer that announced graceful restart is taken to
 * have restarted, and its OPEN on the new connection replaces the old one without a NOTIFICATION.
 * Deviation: RFC 4724 §4.2 takes the connection itself as the sign; an OPEN is harder to forge.
 * Towards any other peer the new connection is refused, and a KEEPALIVE on the old one finds out
 * whether anyone is still there: a rebooted peer answers with a reset.
 * An Established session that a collision ends late, because an OPEN was slow, is replaced in the
 * same way: both speakers live, and their routes stay while they come up on the other connection.
 */
import { assert } from "../../runtime/assert.ts";
import { isGivenUp, type LocalIdentity, newerSurvives, type Origin } from "./collision.ts";
import { afterNews } from "./established.ts";
import type { FsmEvent, SessionNews } from "./events.ts";
import { type FsmAction, type FsmContext, type FsmState, idleState } from "./state.ts";
import { dueTimer, step } from "./step.ts";
import { decayedFlaps, earlier, KEEPALIVE_MIN_MS, nextDeadline } from "./timing.ts";

/** A session this young may see connections that were under way before it: no sign of a restart. */
export const SETTLE_MS = 3_000;
/** A connection beside a standing session may take this long to its OPEN. */
export const TRACK_MS = 10_000;

export type ConnectionId = number;

export interface Slot {
  readonly fsm: FsmState;
  readonly connection: ConnectionId | undefined;
  readonly origin: Origin;
}

export interface TrackedSlot extends Slot {
  readonly purpose: "collision" | "restart";
}

export interface PeerMachine {
  readonly main: Slot;
  readonly second: TrackedSlot | undefined;
  readonly nextConnection: ConnectionId;
  /** When the last KEEPALIVE of the main connection went out. */
  readonly keptAliveAt: number | undefined;
}

export const newPeerMachine: PeerMachine = {
  main: { fsm: idleState, connection: undefined, origin: "dialled" },
  second: undefined,
  nextConnection: 1,
  keptAliveAt: undefined,
};

export type PeerInput =
  /** Start and stop. */
  | { readonly type: "order"; readonly event: FsmEvent }
  /** Something on a connection; of one that is gone: nothing. */
  | { readonly type: "on"; readonly connection: ConnectionId; readonly event: FsmEvent }
  /** The peer connected to us; answered by `adopt` or `refuse`. */
  | { readonly type: "accepted" }
  /** Time passed: runs every timer that is due, after what is new of the session that stands. */
  | { readonly type: "tick"; readonly news?: SessionNews | undefined };

export type PeerAction =
  | { readonly type: "adopt"; readonly connection: ConnectionId }
  | { readonly type: "refuse"; readonly reason: string }
  | (FsmAction & { readonly connection: ConnectionId | undefined });

export interface PeerContext extends FsmContext {
  readonly local: LocalIdentity;
}

/** The machine after one input, and what to do, in this order. */
export interface PeerStep {
  readonly machine: PeerMachine;
  readonly actions: readonly PeerAction[];
}

/** One step of a neighbour. */
export function stepPeer(machine: PeerMachine, input: PeerInput, context: PeerContext): PeerStep {
  const actions: PeerAction[] = [];
  const after = run(machine, input, context, actions);
  return { machine: after, actions };
}

/** When to `tick` next, ms of the monotonic clock; undefined = nothing runs. */
export function peerDeadline(machine: PeerMachine): number | undefined {
  const main = nextDeadline(machine.main.fsm.timers);
  const second = machine.second;
  return second === undefined ? main : earlier(main, nextDeadline(second.fsm.timers));
}

function run(
  machine: PeerMachine,
  input: PeerInput,
  context: PeerContext,
  actions: PeerAction[],
): PeerMachine {
  switch (input.type) {
    case "order":
      return order(machine, input.event, context, actions);
    case "accepted":
      return accept(machine, context, actions);
    case "on":
      return onConnection(machine, input.connection, input.event, context, actions);
    case "tick":
      return tick(machine, input.news, context, actions);
  }
}

function order(
  machine: PeerMachine,
  event: FsmEvent,
  context: PeerContext,
  actions: PeerAction[],
): PeerMachine {
  const stopping = event.type === "manualStop" || event.type === "automaticStop";
  // It ends the tracked connection in every state that this can be in.
  const alone = stopping ? stepSecond(machine, event, context, actions) : machine;
  return stepMain(alone, event, context, actions);
}

function onConnection(
  machine: PeerMachine,
  connection: ConnectionId,
  event: FsmEvent,
  context: PeerContext,
  actions: PeerAction[],
): PeerMachine {
  const { main, second } = machine;
  const onMain = main.connection === connection;
  if (!onMain && second?.connection !== connection) return machine;
  if (onMain && second?.purpose === "collision" && isGraceful(main.fsm) && isGivenUp(event)) {
    leave(main, "collision", actions);
    return promote(machine, context.now);
  }
  if (event.type === "openReceived" && second !== undefined && awaitsOpen(onMain, machine)) {
    return resolve(machine, onMain, event, context, actions);
  }
  return onMain
    ? stepMain(machine, event, context, actions)
    : stepSecond(machine, event, context, actions);
}

function awaitsOpen(onMain: boolean, machine: PeerMachine): boolean {
  return (onMain ? machine.main : machine.second)?.fsm.name === "OpenSent";
}

function tick(
  machine: PeerMachine,
  news: SessionNews | undefined,
  context: PeerContext,
  actions: PeerAction[],
): PeerMachine {
  let next = machine;
  const { main } = machine;
  if (news !== undefined && main.fsm.name === "Established") {
    next = { ...machine, main: { ...main, fsm: afterNews(main.fsm, news, context.random) } };
  }
  for (;;) {
    const due = dueTimer(next.main.fsm, context.now);
    if (due === undefined) break;
    next = stepMain(next, due, context, actions);
  }
  for (;;) {
    const due = next.second === undefined ? undefined : dueTimer(next.second.fsm, context.now);
    if (due === undefined) return next;
    // Beside a session that stands, silence is no fault of the peer's: the connection just goes.
    const event: FsmEvent = isUp(next.main.fsm) ? { type: "openCollisionDump" } : due;
    next = stepSecond(next, event, context, actions);
  }
}

function accept(machine: PeerMachine, context: PeerContext, actions: PeerAction[]): PeerMachine {
  const { main } = machine;
  switch (main.fsm.name) {
    case "Idle":
      return refuse(machine, "the peer is idle", actions);
    case "OpenConfirm":
      return refuse(machine, "another connection is being confirmed", actions);
    case "Active": {
      const connection = machine.nextConnection;
      actions.push({ type: "adopt", connection });
      const adopted: PeerMachine = {
        ...machine,
        main: { ...main, connection, origin: "accepted" },
        nextConnection: connection + 1,
      };
      return stepMain(adopted, { type: "tcpConnected" }, context, actions);
    }
    case "Connect":
    case "OpenSent":
      return track(machine, "collision", context, actions);
    case "Established":
      return acceptBesideSession(machine, context, actions);
  }
}

function acceptBesideSession(
  machine: PeerMachine,
  context: PeerContext,
  actions: PeerAction[],
): PeerMachine {
  const { fsm } = machine.main;
  const age = context.now - (fsm.establishedAt ?? context.now);
  if (fsm.session?.gracefulRestart !== undefined && age >= SETTLE_MS) {
    return track(machine, "restart", context, actions);
  }
  return probe(refuse(machine, "a session is established", actions), context, actions);
}

/** A KEEPALIVE on the session that stands: now, or a second behind the last one (§4.4). */
function probe(machine: PeerMachine, context: PeerContext, actions: PeerAction[]): PeerMachine {
  const { main, keptAliveAt } = machine;
  const at = keptAliveAt === undefined ? context.now : keptAliveAt + KEEPALIVE_MIN_MS;
  if (at <= context.now) {
    return stepMain(machine, { type: "keepaliveTimerExpires" }, context, actions);
  }
  const keepalive = earlier(main.fsm.timers.keepalive, at);
  const fsm = { ...main.fsm, timers: { ...main.fsm.timers, keepalive } };
  return { ...machine, main: { ...main, fsm } };
}

function refuse(machine: PeerMachine, reason: string, actions: PeerAction[]): PeerMachine {
  actions.push({ type: "refuse", reason });
  return machine;
}

/** Follows a second connection; one that was followed before makes room. */
function track(
  machine: PeerMachine,
  purpose: TrackedSlot["purpose"],
  context: PeerContext,
  actions: PeerAction[],
): PeerMachine {
  const dropped = stepSecond(machine, { type: "openCollisionDump" }, context, actions);
  const connection = machine.nextConnection;
  actions.push({ type: "adopt", connection });
  const listening: FsmState = { ...idleState, name: "Active" };
  const opened = step(listening, { type: "tcpConnected" }, context);
  pushActions(opened.actions, connection, actions);
  const second: TrackedSlot = { fsm: opened.state, connection, origin: "accepted", purpose };
  return hurrySecond({ ...dropped, second, nextConnection: connection + 1 }, context);
}

/** OPEN on one of two connections. */
function resolve(
  machine: PeerMachine,
  onMain: boolean,
  event: Extract<FsmEvent, { type: "openReceived" }>,
  context: PeerContext,
  actions: PeerAction[],
): PeerMachine {
  const { main, second } = machine;
  assert(second !== undefined, "a collision has two sides");
  if (onMain) return stepMain(machine, event, context, actions);
  switch (main.fsm.name) {
    case "OpenSent":
      return stepMain(swap(machine, context.now), event, context, actions);
    case "Connect":
      return takeOver(machine, event, context, actions);
    case "OpenConfirm":
    case "Established": {
      const wins =
        second.purpose === "restart" ||
        newerSurvives(context.local, event.session, main.origin, second.origin);
      if (!wins) return stepSecond(machine, { type: "openCollisionDump" }, context, actions);
      return takeOver(machine, event, context, actions);
    }
    case "Idle":
    case "Active":
      return stepMain(promote(machine, context.now), event, context, actions);
  }
}

/** The tracked connection wins: the other one ends, and the OPEN counts. */
function takeOver(
  machine: PeerMachine,
  open: FsmEvent,
  context: PeerContext,
  actions: PeerAction[],
): PeerMachine {
  const { main, second } = machine;
  assert(second !== undefined, "only a tracked connection takes over");
  if (isGraceful(main.fsm)) {
    leave(main, second.purpose === "restart" ? "replaced" : "collision", actions);
  } else {
    const dumped = step(main.fsm, { type: "openCollisionDump" }, context);
    pushActions(dumped.actions, main.connection, actions);
  }
  return stepMain(promote(machine, context.now), open, context, actions);
}

/** RFC 4724 §5: no NOTIFICATION, the TCP session is just closed. */
function leave({ connection, fsm }: Slot, kind: "replaced" | "collision", actions: PeerAction[]) {
  actions.push({ type: "close", reset: kind === "replaced", connection });
  actions.push({ type: "ended", cause: { kind }, session: fsm.session, connection });
}

/** A session stands, with graceful restart. */
function isGraceful({ name, session }: FsmState): boolean {
  return name === "Established" && session?.gracefulRestart !== undefined;
}

/** The tracked connection becomes the peer's; what the peer did before stays on its account. */
function promote(machine: PeerMachine, now: number): PeerMachine {
  const { main, second } = machine;
  if (second === undefined) return machine;
  return { ...machine, main: inherit(second, main, now), second: undefined };
}

function swap(machine: PeerMachine, now: number): PeerMachine {
  const { main, second } = machine;
  assert(second !== undefined, "a swap needs two connections");
  return {
    ...machine,
    main: inherit(second, main, now),
    second: { ...main, purpose: second.purpose },
  };
}

function inherit(slot: Slot, from: Slot, now: number): Slot {
  const { connectRetryCounter } = from.fsm;
  const flaps = decayedFlaps(from.fsm, now);
  const { connection, origin } = slot;
  return { connection, origin, fsm: { ...slot.fsm, flaps, connectRetryCounter } };
}

function stepMain(
  machine: PeerMachine,
  event: FsmEvent,
  context: PeerContext,
  actions: PeerAction[],
): PeerMachine {
  const { state, actions: asked } = step(machine.main.fsm, event, context);
  let { connection, origin } = machine.main;
  let { nextConnection, keptAliveAt } = machine;
  for (const action of asked) {
    if (action.type === "dial") {
      connection = nextConnection++;
      origin = "dialled";
    }
    if (action.type === "sendKeepalive") keptAliveAt = context.now;
    actions.push({ ...action, connection });
    if (action.type === "ended") connection = undefined;
  }
  const next: PeerMachine = {
    ...machine,
    main: { fsm: state, connection, origin },
    nextConnection,
    keptAliveAt,
  };
  if (next.second === undefined) return next;
  // The peer's connection is gone and another stands: go on with that one.
  if (connection === undefined) return promote(next, context.now);
  return isUp(state) ? hurrySecond(next, context) : next;
}

function stepSecond(
  machine: PeerMachine,
  event: FsmEvent,
  context: PeerContext,
  actions: PeerAction[],
): PeerMachine {
  const { second } = machine;
  if (second === undefined) return machine;
  const { state, actions: asked } = step(second.fsm, event, context);
  pushActions(asked, second.connection, actions);
  const ended = asked.some((action) => action.type === "ended");
  return { ...machine, second: ended ? undefined : { ...second, fsm: state } };
}

function pushActions(
  asked: readonly FsmAction[],
  connection: ConnectionId | undefined,
  actions: PeerAction[],
): void {
  for (const action of asked) actions.push({ ...action, connection });
}

function isUp(fsm: FsmState): boolean {
  return fsm.name === "OpenConfirm" || fsm.name === "Established";
}

/** Beside a standing session a tracked connection has not four minutes for its OPEN. */
function hurrySecond(machine: PeerMachine, context: PeerContext): PeerMachine {
  const { second, main } = machine;
  if (second === undefined || !isUp(main.fsm)) return machine;
  const hold = earlier(second.fsm.timers.hold, context.now + TRACK_MS);
  const fsm = { ...second.fsm, timers: { ...second.fsm.timers, hold } };
  return { ...machine, second: { ...second, fsm } };
}
