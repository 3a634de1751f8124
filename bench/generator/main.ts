/**
 * The load generator's process: answers JSON commands on its standard input (see client.ts), one
 * run after another. A goal that is reached is told as an event, so that nothing polls while
 * something is measured.
 */
import { growDescriptorTable } from "netlink-ts";
import { answerCommands, tellEvent } from "../../test/support/json-commands.ts";
import { type ChangeOrder, changes } from "./changes.ts";
import { DESCRIPTORS_MAX, type GeneratorSetup, type Goal, now, Peers } from "./peers.ts";

let peers: Peers | undefined;

function current(): Peers {
  if (peers === undefined) throw new Error("no peers yet: setup first");
  return peers;
}

answerCommands({
  setup: async (argument) => {
    peers?.stop();
    // What the kernel makes a process wait for while its table grows is not the daemon's time.
    await growDescriptorTable(DESCRIPTORS_MAX);
    peers = new Peers(argument as GeneratorSetup);
  },
  listen: () => current().listen(),
  dial: (argument) => {
    current().dial(argument as number);
    return now();
  },
  /** Answers at once with the number that the event will carry. */
  reach: (argument) => {
    const { goal, id } = argument as { goal: Goal; id: number };
    void current()
      .reach(goal)
      .then((at) => tellEvent({ id, at, totals: current().totals() }));
  },
  send: (argument) => current().send(argument as "announce" | "withdraw"),
  drop: () => current().drop(),
  changes: (argument) => {
    const { order, id } = argument as { order: ChangeOrder; id: number };
    void changes(current(), order).then((milliseconds) => tellEvent({ id, milliseconds }));
  },
  totals: () => current().totals(),
});
