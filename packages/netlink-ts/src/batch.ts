/** Many operations as few sends: what routes, links, addresses and rules have in common. */
import { Errno, NetlinkError } from "./errors.ts";
import { MessageWriter } from "./message-writer.ts";
import type { NetlinkSocket, Outcome } from "./netlink-socket.ts";

/**
 * Encodes each operation as one message and sends them in batches as large as the socket takes, in
 * order. The result has one entry an operation. An operation that cannot be encoded gets its error
 * and is left out; the others are carried out. Rejects when the socket itself fails: then the
 * outcome of the batch under way is unknown, and later ones were not sent.
 */
export async function applyInBatches<T>(
  socket: NetlinkSocket,
  operations: readonly T[],
  encode: (writer: MessageWriter, operation: T) => void,
): Promise<Outcome[]> {
  const outcomes = new Array<Outcome>(operations.length).fill(undefined);
  const writer = new MessageWriter();
  let indexes: number[] = [];
  const flush = async () => {
    const results = await socket.exchange(writer);
    for (const [i, outcome] of results.entries()) outcomes[indexes[i] as number] = outcome;
    writer.reset();
    indexes = [];
  };
  for (let index = 0; index < operations.length; index++) {
    const before = writer.count;
    try {
      encode(writer, operations[index] as T);
    } catch (error) {
      writer.keep(before);
      if (!(error instanceof NetlinkError)) throw error;
      outcomes[index] = error;
      continue;
    }
    if (writer.length > socket.batchBytesMax) {
      writer.keep(before);
      if (before === 0) {
        outcomes[index] = new NetlinkError(Errno.EMSGSIZE, { text: "too long for one message" });
        continue;
      }
      await flush();
      index--;
      continue;
    }
    indexes.push(index);
    if (writer.count === socket.batchMessagesMax) await flush();
  }
  if (writer.count > 0) await flush();
  return outcomes;
}
