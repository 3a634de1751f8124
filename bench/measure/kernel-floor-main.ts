/**
 * What the kernel alone takes for routes: messages that were encoded before, thousands a send,
 * one after the other, nobody listening. Answers JSON commands, in a namespace.
 */
import { NetlinkSocket, Protocol, RouteBatch, RouteNetlink, RouteStamp } from "netlink-ts";
import { answerCommands } from "../../test/support/json-commands.ts";
import { PrefixPlan } from "../generator/feed.ts";

/** The routes of so many senders, in the order in which their UPDATEs would come. */
export interface FloorOrder {
  readonly link: string;
  /** Next hops, one a sender. */
  readonly gateways: readonly string[];
  readonly prefixesEach: number;
  readonly prefixesPerUpdate: number;
}

const PROTOCOL = 17;
const socket = NetlinkSocket.open(Protocol.ROUTE);
let batches: { readonly add: RouteBatch; readonly delete: RouteBatch };

answerCommands({
  prepare: async (argument) => {
    const order = argument as FloorOrder;
    const netlink = new RouteNetlink();
    const link = await netlink.links.get(order.link);
    netlink.close();
    if (link === undefined) throw new Error(`no such link: ${order.link}`);
    batches = {
      add: encoded("add", order, link.index),
      delete: encoded("delete", order, link.index),
    };
  },
  add: () => sent(batches.add),
  delete: () => sent(batches.delete),
});

function encoded(kind: "add" | "delete", order: FloorOrder, interfaceIndex: number): RouteBatch {
  const { gateways, prefixesEach, prefixesPerUpdate } = order;
  const plan = new PrefixPlan("24");
  const addresses = new Uint32Array(gateways.length * prefixesEach);
  for (let i = 0; i < addresses.length; i++) {
    plan.next();
    addresses[i] = plan.address;
  }
  const stamps = gateways.map((gateway) => {
    return new RouteStamp(kind, 4, { gateway, interfaceIndex, table: 254, protocol: PROTOCOL });
  });
  const batch = new RouteBatch();
  for (let from = 0; from < prefixesEach; from += prefixesPerUpdate) {
    const end = Math.min(prefixesEach, from + prefixesPerUpdate);
    for (const [sender, stamp] of stamps.entries()) {
      for (let i = from; i < end; i++) batch.add(stamp, 24, addresses[sender * prefixesEach + i]!);
    }
  }
  return batch;
}

/** Milliseconds from the first send to the last answer. */
async function sent(batch: RouteBatch): Promise<number> {
  const parts = batch.parts(socket.batchMessagesMax, socket.batchBytesMax);
  const begin = performance.now();
  for (const part of parts) {
    const [failure] = await socket.send(part, undefined, { atOnce: true });
    if (failure !== undefined) throw failure[1];
  }
  return performance.now() - begin;
}
