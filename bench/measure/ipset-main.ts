/** Fills a set and changes one member, with ipset-js: answers JSON commands, in a namespace. */
import { IpSets } from "ipset-js";
import { answerCommands } from "../../test/support/json-commands.ts";
import { memberOf } from "./ipset-members.ts";

const SET = "bench";
const sets = new IpSets();

answerCommands({
  /** Milliseconds to make the set with so many members. */
  fill: async (argument) => {
    const count = argument as number;
    const begin = performance.now();
    await sets.create({ name: SET, type: "hash:net", maxElements: 1 << 20 });
    const members = Array.from({ length: count }, (_, index) => memberOf(index));
    const refused = await sets.add(SET, members);
    if (refused.length > 0) throw new Error(`refused: ${JSON.stringify(refused[0])}`);
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
