/** Listeners of ours on real sockets, and what they heard. */
import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { TcpTransport } from "../../../src/bgp/session/tcp-transport.ts";
import type { Listener, ListenProblem } from "../../../src/bgp/session/transport.ts";
import { parseAddress } from "../../../src/ip/address.ts";
import { freePort } from "../../support/free-port.ts";
import { plainPolicy } from "../../support/raw-peer.ts";
import { End } from "../../support/transport-contract.ts";

/** Where all listen. */
export const US = parseAddress("127.0.0.1")!;
const WAIT_MS = 5_000;

export async function until(condition: () => boolean, what: string): Promise<void> {
  const end = performance.now() + WAIT_MS;
  while (!condition() && performance.now() < end) await sleep(1);
  assert.ok(condition(), `waited in vain: ${what}`);
}

/** A listener of ours; `port` is one that was free, `onAccept` is called for each connection. */
export async function listening(
  onAccept: (listener: Listener) => void = () => undefined,
  transport = new TcpTransport(),
) {
  const port = await freePort(US);
  const ends: End[] = [];
  const problems: ListenProblem[] = [];
  let stands = false;
  const listener = transport.listen(
    { address: US, port, passwords: new Map() },
    {
      listening() {
        stands = true;
      },
      accepted(connection) {
        const end = new End();
        end.connection = connection;
        ends.push(end);
        onAccept(listener);
        return { handler: end, policy: plainPolicy };
      },
      failed: (problem) => problems.push(problem),
    },
  );
  await until(() => stands, "listening");
  return { transport, port, ends, problems, listener };
}
