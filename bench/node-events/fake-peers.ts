/**
 * The other nodes of the bench's cluster: BGP peers that take sessions on every address of their
 * namespace, announce one /24 each and say nothing else. One listener for all of them.
 */
import { createServer, type Server, type Socket } from "node:net";
import { MessageFramer } from "../../src/bgp/message/framer.ts";
import { encodeKeepalive } from "../../src/bgp/message/keepalive.ts";
import { encodeOpen } from "../../src/bgp/message/open.ts";
import { MessageType } from "../../src/bgp/message/types.ts";
import { announce, endOfRib, openOf } from "../../test/support/raw-peer.ts";
import { ip } from "../../test/support/speakers.ts";
import { nodeOfAddress } from "./lab-cluster.ts";

const BGP_PORT = 179;

export class FakePeers {
  /** `performance.now()` of the first OPEN heard. */
  firstOpenAt: number | undefined;
  /** Peers by Node number whose session is up. */
  readonly established = new Set<number>();
  readonly #server: Server;
  /** Number of the /24 that a peer announces: `10.x.y.0/24` as x * 256 + y. */
  readonly #announced: (node: number) => number;

  constructor(announced: (node: number) => number) {
    this.#announced = announced;
    this.#server = createServer((socket) => this.#serve(socket));
  }

  listen(): Promise<void> {
    return new Promise((resolve) => this.#server.listen(BGP_PORT, "0.0.0.0", 4096, resolve));
  }

  close(): void {
    this.#server.close();
  }

  #serve(socket: Socket): void {
    socket.setNoDelay(true);
    const local = ip(socket.localAddress ?? "");
    const node = nodeOfAddress(local);
    const framer = new MessageFramer(4096);
    socket.write(encodeOpen(openOf(local)));
    socket.on("error", () => socket.destroy());
    socket.on("close", () => this.established.delete(node));
    socket.on("data", (chunk: Buffer) => {
      framer.feed(chunk);
      while (framer.next()) this.#heard(socket, node, framer.type);
    });
  }

  #heard(socket: Socket, node: number, type: MessageType): void {
    if (type === MessageType.open) {
      this.firstOpenAt ??= performance.now();
      socket.write(encodeKeepalive());
    }
    if (type !== MessageType.keepalive) return;
    if (this.established.has(node)) {
      socket.write(encodeKeepalive());
      return;
    }
    this.established.add(node);
    const nextHop = ip(socket.localAddress ?? "");
    socket.write(Buffer.concat([announce(nextHop, this.#announced(node)), endOfRib]));
  }
}
