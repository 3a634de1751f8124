/** A TCP port that was free a moment ago, for a listener that must be told its port. */
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer } from "node:net";

/** Above those that the agent itself and most other programs have by default. */
const LOWEST = 21_000;
const TRIES_MAX = 20;

/**
 * Of `host`, an address of this machine. It is none of those that the kernel gives to whoever names
 * none (`ip_local_port_range`): of these, a test that runs beside may have one by the time this one
 * listens, and on all addresses there is then nothing to listen on.
 */
export async function freePort(host: string): Promise<number> {
  const [first] = readFileSync("/proc/sys/net/ipv4/ip_local_port_range", "utf8").split(/\s+/, 1);
  for (let tries = 1; ; tries++) {
    const port = LOWEST + Math.floor(Math.random() * (Number(first) - LOWEST));
    const server = createServer();
    try {
      await once(server.listen(port, host), "listening");
    } catch (error) {
      if (tries === TRIES_MAX) throw error;
      continue;
    }
    server.close();
    await once(server, "close");
    return port;
  }
}
