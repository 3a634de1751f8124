/** A TCP port that was free a moment ago, for a listener that must be told its port. */
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";

/** Of `host`, an address of this machine. */
export async function freePort(host: string): Promise<number> {
  const server = createServer().listen(0, host);
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}
