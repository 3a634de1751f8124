/**
 * The null daemon: speaks just enough BGP for the sessions to stand and copies each UPDATE from
 * the senders to the receivers, without a look into it. What the generator and the kernel cost:
 * no daemon can be faster.
 *
 *   node relay-main.ts '{"address", "as", "routerId", "holdSeconds", "dial", "neighbors": […]}'
 */
import { createServer } from "node:net";
import { growDescriptorTable } from "netlink-ts";
import type { DaemonSetup } from "../daemons/daemon.ts";
import { BgpConnection } from "./connection.ts";
import { addressWord, encodeOpen, KEEPALIVE } from "./messages.ts";
import { DESCRIPTORS_MAX } from "./peers.ts";

const BACKLOG = 2048;
const RETRY_MS = 10;

const setup = JSON.parse(process.argv[2] ?? "{}") as DaemonSetup;
const neighbors = new Map(setup.neighbors.map((each) => [each.address, each]));
const OPEN = encodeOpen(setup.as, addressWord(setup.address), setup.holdSeconds);
const established = new Set<BgpConnection>();
const receivers = new Set<BgpConnection>();
/** For receivers that come after the senders: what there was so far, up to a bound. */
const history: Uint8Array[] = [];
const HISTORY_MAX = 10_000;

function eventsOf(address: string, connection: () => BgpConnection, onClosed: () => void) {
  return {
    established: () => {
      established.add(connection());
      if (neighbors.get(address)?.export !== true) return;
      receivers.add(connection());
      for (const each of history) connection().write(each);
    },
    updates: (bytes: Uint8Array, from: number, to: number) => {
      // Buffer.slice would be a view of what is read over.
      const copy = new Uint8Array(bytes.subarray(from, to));
      if (history.length < HISTORY_MAX) history.push(copy);
      for (const each of receivers) each.write(copy);
    },
    closed: () => {
      established.delete(connection());
      receivers.delete(connection());
      onClosed();
    },
  };
}

function dial(address: string): void {
  const to = { address, port: setup.port, localAddress: setup.address };
  const again = () => void setTimeout(() => dial(address), RETRY_MS);
  const connection: BgpConnection = BgpConnection.dial(
    to,
    OPEN,
    eventsOf(address, () => connection, again),
  );
}

await growDescriptorTable(DESCRIPTORS_MAX);
createServer((socket) => {
  const address = socket.remoteAddress ?? "";
  if (!neighbors.has(address)) {
    socket.destroy();
    return;
  }
  const connection: BgpConnection = BgpConnection.accepted(
    socket,
    OPEN,
    eventsOf(
      address,
      () => connection,
      () => undefined,
    ),
  );
}).listen({ port: setup.port, host: setup.address, backlog: BACKLOG }, () => {
  for (const each of setup.neighbors) if (!each.passive) dial(each.address);
});

setInterval(
  () => {
    for (const each of established) each.write(KEEPALIVE);
  },
  (setup.holdSeconds * 1000) / 3,
);
