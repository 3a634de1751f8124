/** What is told of a session in one piece does what its events do one by one, at their times. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { stepEstablished } from "../../../src/bgp/fsm/established.ts";
import { newPeerMachine, stepPeer } from "../../../src/bgp/fsm/peer-machine.ts";
import { negotiatedSession } from "../../support/negotiated-session.ts";
import { events, stateOf } from "./samples.ts";

const moment = fc.option(fc.integer({ min: 0, max: 600_000 }), { nil: undefined });

test("news and a tick come to the same as the events and a tick", () => {
  fc.assert(
    fc.property(
      fc.record({ receivedAt: moment, sentAt: moment, progressAt: moment }),
      fc.constantFrom(0, 3, 90),
      fc.double({ min: 0, max: 0.999, noNaN: true }),
      (news, holdSeconds, random) => {
        const session = negotiatedSession({ holdSeconds, keepaliveSeconds: holdSeconds / 3 });
        const settings = { passive: false };
        const context = { now: 600_000, random, settings, local: { as: 64512, routerId: 1 } };
        const begin = stateOf("Established", { session });
        let state = begin;
        for (const [at, event] of [
          [news.receivedAt, events.updateReceived],
          [news.sentAt, events.messagesSent],
          [news.progressAt, events.sendProgress],
        ] as const) {
          if (at !== undefined)
            state = stepEstablished(state, event, { ...context, now: at }).state;
        }
        const machine = (fsm: typeof state) => {
          const main = { fsm, connection: 1, origin: "dialled" } as const;
          return { ...newPeerMachine, main, nextConnection: 2 };
        };
        assert.deepEqual(
          stepPeer(machine(begin), { type: "tick", news }, context),
          stepPeer(machine(state), { type: "tick" }, context),
        );
      },
    ),
  );
});

test("news of a session that has ended meanwhile say nothing", () => {
  const context = {
    ...{ now: 10, random: 0, settings: { passive: false } },
    local: { as: 64512, routerId: 1 },
  };
  const main = { fsm: stateOf("Active"), connection: undefined, origin: "dialled" } as const;
  const machine = { ...newPeerMachine, main };
  const news = { receivedAt: 1, sentAt: 2, progressAt: 3 };
  assert.deepEqual(stepPeer(machine, { type: "tick", news }, context), { machine, actions: [] });
});
