/**
 * The other nodes of the bench's cluster: BGP peers on every address of their namespace that
 * announce one /24 each. One listener for all of them.
 *
 * A Node that is added is known on both sides at about the same time, and not sooner: its peer
 * refuses connections until it has seen the event itself, and then dials as an agent does, at once
 * with the higher identifier and after a wait with the lower one. Of two connections the one that
 * the higher identifier has dialled stays (RFC 4271 §6.8).
 */
import { connect, createServer, type Server, type Socket } from "node:net";
import { MessageFramer } from "../../src/bgp/message/framer.ts";
import { encodeKeepalive } from "../../src/bgp/message/keepalive.ts";
import { encodeNotification } from "../../src/bgp/message/notification.ts";
import { encodeOpen } from "../../src/bgp/message/open.ts";
import { MessageType } from "../../src/bgp/message/types.ts";
import { dialDelayMs } from "../../src/bgp/speaker/dial-delay.ts";
import { wordOfAddress } from "../../src/ip/address.ts";
import { announce, endOfRib, openOf } from "../../test/support/raw-peer.ts";
import { ip } from "../../test/support/speakers.ts";
import { agentDialsFirst, nodeAddress, nodeOfAddress, SELF_ADDRESS } from "./lab-cluster.ts";

const BGP_PORT = 179;
/** Until a peer has seen an event of the API server and done its work for it, at least and most. */
const REACTION_MS = [2, 12] as const;
const COLLISION = encodeNotification({ code: 6, subcode: 7, data: new Uint8Array() });

interface Link {
  readonly node: number;
  readonly socket: Socket;
  readonly dialled: boolean;
  heardOpen: boolean;
  up: boolean;
}

export class FakePeers {
  /** `performance.now()` of the first OPEN heard. */
  firstOpenAt: number | undefined;
  /** Peers by Node number whose session is up. */
  readonly established = new Set<number>();
  readonly #links = new Map<number, Set<Link>>();
  /** Peers that have not seen yet that the agent's Node is there for them. */
  readonly #unaware = new Set<number>();
  /** Peers both of whose sides have dialled since their Node was added. */
  readonly #crossed = new Set<number>();
  readonly #server: Server;
  /** Number of the /24 that a peer announces: `10.x.y.0/24` as x * 256 + y. */
  readonly #announced: (node: number) => number;

  constructor(announced: (node: number) => number) {
    this.#announced = announced;
    this.#server = createServer((socket) => {
      const node = nodeOfAddress(socket.localAddress ?? "");
      if (this.#unaware.has(node)) socket.resetAndDestroy();
      else this.#begin({ node, socket, dialled: false, heardOpen: false, up: false });
    });
  }

  listen(): Promise<void> {
    return new Promise((resolve) => this.#server.listen(BGP_PORT, "0.0.0.0", 4096, resolve));
  }

  /** A Node comes back in this moment: its peer sees it soon, and dials when it is its turn. */
  added(node: number): void {
    const [least, most] = REACTION_MS;
    this.#crossed.delete(node);
    this.#unaware.add(node);
    setTimeout(() => this.#aware(node), least + (most - least) * Math.random());
  }

  /** Whether both sides dialled at once after {@link added}. */
  crossed(node: number): boolean {
    return this.#crossed.has(node);
  }

  #aware(node: number): void {
    this.#unaware.delete(node);
    const id = wordOfAddress(nodeAddress(node));
    const agent = { address: ip(SELF_ADDRESS), localAddress: undefined, passive: false };
    const wait = dialDelayMs(agent, id, 1, Math.random);
    if (wait < 1) this.#dial(node);
    else setTimeout(() => this.#dial(node), wait);
  }

  #dial(node: number): void {
    if ((this.#links.get(node)?.size ?? 0) > 0) return;
    const localAddress = nodeAddress(node);
    const socket = connect({ host: SELF_ADDRESS, port: BGP_PORT, localAddress });
    this.#begin({ node, socket, dialled: true, heardOpen: false, up: false });
  }

  #begin(link: Link): void {
    const { node, socket } = link;
    const links = this.#links.get(node) ?? new Set();
    this.#links.set(node, links.add(link));
    if (links.size > 1) this.#crossed.add(node);
    const framer = new MessageFramer(4096);
    socket.setNoDelay(true);
    socket.write(encodeOpen(openOf(nodeAddress(node))));
    socket.on("error", () => socket.destroy());
    socket.on("close", () => {
      links.delete(link);
      if (link.up) this.established.delete(node);
    });
    socket.on("data", (chunk: Buffer) => {
      framer.feed(chunk);
      while (!socket.destroyed && framer.next()) this.#heard(link, framer.type);
    });
  }

  #heard(link: Link, type: MessageType): void {
    const { node, socket } = link;
    if (type === MessageType.open) {
      this.firstOpenAt ??= performance.now();
      link.heardOpen = true;
      if (!this.#resolved(link)) return;
      socket.write(encodeKeepalive());
    }
    if (type !== MessageType.keepalive) return;
    if (link.up) {
      socket.write(encodeKeepalive());
      return;
    }
    link.up = true;
    this.established.add(node);
    socket.write(Buffer.concat([announce(nodeAddress(node), this.#announced(node)), endOfRib]));
  }

  /** Ends one of two connections on which OPEN was heard; false when it is this one. */
  #resolved(link: Link): boolean {
    for (const other of this.#links.get(link.node) ?? []) {
      if (other === link || !other.heardOpen) continue;
      const wins = link.dialled !== agentDialsFirst(link.node) && !this.established.has(link.node);
      (wins ? other : link).socket.end(COLLISION);
      if (!wins) return false;
    }
    return true;
  }
}
