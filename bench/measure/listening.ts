/**
 * Whether a daemon listens, without taking the machine from it: /proc/net/tcp is a walk over all
 * TCP sockets that there may be, 10 ms and more on one of two cores, and so long late as well. The
 * kernel has those that listen in a list of their own, which it shows by sock_diag(7).
 */
import { Flag, type Message, type MessageWriter, NetlinkSocket } from "netlink-ts";
import { enterNamespace } from "../../packages/netlink-ts/test/support/namespace.ts";

const NETLINK_SOCK_DIAG = 4;
const SOCK_DIAG_BY_FAMILY = 20;
const FAMILIES = [2, 10];
const TCP = 6;
/** A bit for each state; LISTEN is 10. */
const LISTENING = 1 << 10;
/** struct inet_diag_sockid: ports, addresses, interface and cookie; all of it zero. */
const SOCKET_BYTES = 48;
/** struct inet_diag_msg: u8 family, state, timer, retrans; then the socket's own port. */
const PORT_OFFSET = 4;

/** The listening TCP sockets of a namespace. */
export class Listening {
  readonly #netlink: NetlinkSocket;

  constructor(namespace: string) {
    this.#netlink = enterNamespace(namespace, () => NetlinkSocket.open(NETLINK_SOCK_DIAG));
  }

  /** Whether one has the port, of either family. */
  async has(port: number): Promise<boolean> {
    for (const family of FAMILIES) {
      const ports = await this.#netlink.dump((writer) => ask(writer, family), portOf);
      if (ports.includes(port)) return true;
    }
    return false;
  }

  close(): void {
    this.#netlink.close();
  }
}

/** struct inet_diag_req_v2. */
function ask(writer: MessageWriter, family: number): void {
  writer.begin(SOCK_DIAG_BY_FAMILY, Flag.REQUEST | Flag.DUMP);
  writer.u8(family);
  writer.u8(TCP);
  writer.u16(0);
  writer.u32(LISTENING);
  writer.zeros(SOCKET_BYTES);
  writer.end();
}

function portOf({ type, bytes, start }: Message): number | undefined {
  return type === SOCK_DIAG_BY_FAMILY ? bytes.readUInt16BE(start + PORT_OFFSET) : undefined;
}
