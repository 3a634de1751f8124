/** Fills a set and changes one member, with ipset-js: answers JSON commands, in a namespace. */
import { IpSets } from "ipset-js";
import { MessageWriter, NetlinkSocket, Protocol } from "netlink-ts";
import { EntryBlock } from "../../packages/ipset-js/src/entry-block.ts";
import { Command, writeChange } from "../../packages/ipset-js/src/wire.ts";
import { answerCommands } from "../../test/support/json-commands.ts";
import { HASH_SIZE, MAX_ELEMENTS, memberOf } from "./ipset-members.ts";

const SET = "bench";
const REQUEST = 1;
const MESSAGE_BYTES = 60_000;
const sets = new IpSets();

const create = () =>
  sets.create({ name: SET, type: "hash:net", maxElements: MAX_ELEMENTS, hashSize: HASH_SIZE });
const membersOf = (count: number) => Array.from({ length: count }, (_, index) => memberOf(index));

/** What the kernel has to be told, ready to be sent. */
function messagesOf(members: readonly string[]): readonly MessageWriter[] {
  const messages: MessageWriter[] = [];
  const block = new EntryBlock(MESSAGE_BYTES);
  const flush = () => {
    const writer = new MessageWriter();
    writeChange(writer, Command.ADD, REQUEST, SET, block.bytes);
    messages.push(writer);
    block.reset();
  };
  for (const [index, member] of members.entries()) {
    if (block.add(member, undefined, index + 1)) continue;
    flush();
    block.add(member, undefined, index + 1);
  }
  flush();
  return messages;
}

answerCommands({
  /** Milliseconds to make the set with so many members. */
  fill: async (argument) => {
    const members = membersOf(argument as number);
    const begin = performance.now();
    await create();
    const refused = await sets.add(SET, members);
    if (refused.length > 0) throw new Error(`refused: ${JSON.stringify(refused[0])}`);
    return performance.now() - begin;
  },
  /** The same with messages that are ready before the clock starts: what the kernel costs. */
  floor: async (argument) => {
    const messages = messagesOf(membersOf(argument as number));
    using socket = NetlinkSocket.open(Protocol.NETFILTER);
    const begin = performance.now();
    await create();
    for (const message of messages) {
      const [error] = await socket.exchange(message, undefined, { atOnce: true });
      if (error !== undefined) throw error;
    }
    return performance.now() - begin;
  },
  /** Milliseconds of each of so many changes of one member, added and removed in turn. */
  change: async (argument) => {
    const took: number[] = [];
    const member = memberOf(-1);
    for (let i = 0; i < (argument as number); i++) {
      const begin = performance.now();
      await (i % 2 === 0 ? sets.add(SET, [member]) : sets.delete(SET, [member]));
      took.push(performance.now() - begin);
    }
    return took;
  },
  destroy: () => sets.destroy(SET),
});
