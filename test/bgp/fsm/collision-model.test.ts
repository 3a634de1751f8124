/**
 * Connection collision, RFC 4271 §6.8, by exhaustion: two machines that dial each other, every
 * order in which the network can deliver what they send. In each end both are Established on the
 * same connection; there is no order in which both drop their own and wait for the next try, and
 * none in which a session that gives way takes its routes with it.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { familiesToRetain } from "../../../src/bgp/fsm/graceful-restart.ts";
import {
  newPeerMachine,
  type PeerAction,
  type PeerInput,
  type PeerMachine,
  stepPeer,
} from "../../../src/bgp/fsm/peer-machine.ts";
import { negotiatedSession } from "../../support/negotiated-session.ts";
import { context, events, gracefulRestart } from "./samples.ts";

type Side = "a" | "b";
type Message = "connected" | "accepted" | "OPEN" | "KEEPALIVE" | "NOTIFICATION" | "closed";

interface Link {
  readonly dialler: Side;
  /** The connection's number on each side; undefined = not there (yet, or any more). */
  readonly ids: Readonly<Record<Side, number | undefined>>;
  readonly inbox: Readonly<Record<Side, readonly Message[]>>;
}

interface World {
  readonly a: PeerMachine;
  readonly b: PeerMachine;
  readonly links: readonly Link[];
  /** A session ended in a way that loses its routes. */
  readonly lost?: true;
}

const other = (side: Side): Side => (side === "a" ? "b" : "a");
const WORLDS_MAX = 200_000;

class Model {
  readonly ids: Readonly<Record<Side, number>>;
  readonly seen = new Set<string>();
  readonly ends: World[] = [];

  constructor(idA: number, idB: number) {
    this.ids = { a: idA, b: idB };
  }

  explore(start: World): void {
    const pending = [start];
    for (let world = pending.pop(); world !== undefined; world = pending.pop()) {
      const key = JSON.stringify(world);
      if (this.seen.has(key)) continue;
      this.seen.add(key);
      assert.ok(this.seen.size < WORLDS_MAX, "the model does not end");
      const next = this.successors(world);
      if (next.length === 0) this.ends.push(world);
      pending.push(...next);
    }
  }

  successors(world: World): World[] {
    const next: World[] = [];
    world.links.forEach((link, index) => {
      for (const side of ["a", "b"] as const) {
        const [message, ...rest] = link.inbox[side];
        if (message === undefined) continue;
        const inbox = { ...link.inbox, [side]: rest };
        const links = world.links.with(index, { ...link, inbox });
        next.push(this.deliver({ ...world, links }, index, side, message));
      }
    });
    return next;
  }

  deliver(world: World, index: number, side: Side, message: Message): World {
    const id = world.links[index]!.ids[side];
    if (message === "accepted") return this.input(world, side, { type: "accepted" }, index);
    if (id === undefined) return world;
    return this.input(world, side, {
      type: "on",
      connection: id,
      event: this.event(side, message),
    });
  }

  event(side: Side, message: Exclude<Message, "accepted">) {
    switch (message) {
      case "connected":
        return events.tcpConnected;
      case "OPEN": {
        const remoteRouterId = this.ids[other(side)];
        const session = negotiatedSession({ remoteRouterId, gracefulRestart });
        return { type: "openReceived", session } as const;
      }
      case "KEEPALIVE":
        return events.keepaliveReceived;
      case "NOTIFICATION":
        return {
          ...events.notificationReceived,
          notification: { code: 6, subcode: 7, data: new Uint8Array(0) },
        };
      case "closed":
        return events.tcpFails;
    }
  }

  input(world: World, side: Side, input: PeerInput, accepting?: number): World {
    const local = { as: 64512, routerId: this.ids[side] };
    const { machine, actions } = stepPeer(world[side], input, { ...context, local });
    let next: World = { ...world, [side]: machine };
    for (const action of actions) next = this.act(next, side, action, accepting);
    return next;
  }

  act(world: World, side: Side, action: PeerAction, accepting?: number): World {
    const peer = other(side);
    if (action.type === "dial") {
      const link: Link = {
        dialler: side,
        ids: { a: undefined, b: undefined, [side]: action.connection },
        inbox: { [side]: ["connected"], [peer]: ["accepted"] } as Record<Side, Message[]>,
      };
      return { ...world, links: [...world.links, link] };
    }
    if (action.type === "ended") {
      const { session, cause } = action;
      const kept = session === undefined || familiesToRetain(session, cause).length > 0;
      return kept ? world : { ...world, lost: true };
    }
    const index =
      action.type === "adopt" || action.type === "refuse"
        ? accepting!
        : world.links.findIndex((link) => link.ids[side] === action.connection);
    const link = world.links[index];
    if (link === undefined) return world;
    const replace = (changed: Link): World => ({
      ...world,
      links: world.links.with(index, changed),
    });
    const send = (message: Message, from: Link = link): Link =>
      from.ids[peer] === undefined && from.dialler === peer
        ? from
        : { ...from, inbox: { ...from.inbox, [peer]: [...from.inbox[peer], message] } };
    switch (action.type) {
      case "adopt":
        return replace({ ...link, ids: { ...link.ids, [side]: action.connection } });
      case "sendOpen":
        return replace(send("OPEN"));
      case "sendKeepalive":
        return replace(send("KEEPALIVE"));
      case "sendNotification":
        return replace(send("NOTIFICATION"));
      case "refuse":
      case "close": {
        const gone = { ...link.ids, [side]: undefined };
        return replace(
          send("closed", { ...link, ids: gone, inbox: { ...link.inbox, [side]: [] } }),
        );
      }
      case "established":
        return world;
    }
  }
}

function check(model: Model, what: string): void {
  assert.ok(model.ends.length > 0);
  for (const world of model.ends) {
    const text = `${what}: ${JSON.stringify(world, undefined, 1)}`;
    assert.equal(world.a.main.fsm.name, "Established", text);
    assert.equal(world.b.main.fsm.name, "Established", text);
    const link = world.links.findIndex(({ ids }) => ids.a === world.a.main.connection);
    assert.equal(world.links[link]!.ids.b, world.b.main.connection, text);
    assert.equal(world.lost, undefined, text);
    assert.equal(world.a.second, undefined, text);
    assert.equal(world.b.second, undefined, text);
  }
}

const idle: World = { a: newPeerMachine, b: newPeerMachine, links: [] };
const now = { type: "order", event: events.manualStart } as const;
const later = { type: "order", event: { ...events.manualStart, delayMs: 500 } } as const;

for (const [idA, idB] of [
  [1, 2],
  [2, 1],
] as const) {
  test(`both dial at once, router ids ${idA} and ${idB}`, () => {
    const model = new Model(idA, idB);
    model.explore(model.input(model.input(idle, "a", now), "b", now));
    assert.ok(model.seen.size > 200, `only ${model.seen.size} worlds`);
    check(model, "both dial");
  });

  test(`one dials, one listens, router ids ${idA} and ${idB}`, () => {
    for (const [first, second] of [
      [now, later],
      [later, now],
    ] as const) {
      const model = new Model(idA, idB);
      model.explore(model.input(model.input(idle, "a", first), "b", second));
      check(model, "one dials");
    }
  });

  test(`the listener's own dial comes at any moment, router ids ${idA} and ${idB}`, () => {
    const model = new Model(idA, idB);
    const dial = { type: "order", event: events.connectRetryTimerExpires } as const;
    const first = new Model(idA, idB);
    first.explore(model.input(model.input(idle, "a", now), "b", later));
    for (const key of first.seen) {
      const world = JSON.parse(key, (_, value) => value ?? undefined) as World;
      if (world.b.main.fsm.name === "Active") model.explore(model.input(world, "b", dial));
    }
    assert.ok(model.ends.length > 0);
    check(model, "late dial");
  });
}
