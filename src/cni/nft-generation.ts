/**
 * The generation of the nftables rules of this network namespace: a number that grows with every
 * committed change, by whomever. One netlink request, no program.
 *
 *   request  NFT_MSG_GETGEN:  nfgenmsg | u8 family 0 | u8 version 0 | be16 0 |
 *   answer   NFT_MSG_NEWGEN:  nfgenmsg, attribute 1 = be32 generation
 */
import {
  Flag,
  forEachAttribute,
  MalformedMessageError,
  NetlinkError,
  NetlinkSocket,
  Protocol,
  SystemCallError,
} from "netlink-ts";

/** NFNL_SUBSYS_NFTABLES << 8 | message (linux/netfilter/nf_tables.h). */
const NEWGEN = (10 << 8) | 15;
const GETGEN = (10 << 8) | 16;
const GENERATION = 1;
const NFGENMSG_BYTES = 4;

export interface NftGenerationOptions {
  /** Called around the making of the socket; tests enter another network namespace there. */
  readonly around?: <T>(make: () => T) => T;
}

export class NftGeneration {
  readonly #around: <T>(make: () => T) => T;
  #socket: NetlinkSocket | undefined;

  constructor(options: NftGenerationOptions = {}) {
    this.#around = options.around ?? ((make) => make());
  }

  /** Undefined when the kernel does not say. */
  async read(): Promise<number | undefined> {
    let generation: number | undefined;
    try {
      this.#socket ??= this.#around(() => NetlinkSocket.open(Protocol.NETFILTER));
      await this.#socket.request(
        (writer) => {
          writer.begin(GETGEN, Flag.REQUEST);
          writer.zeros(NFGENMSG_BYTES);
          writer.end();
        },
        ({ type, bytes, start, end }) => {
          if (type !== NEWGEN) return;
          forEachAttribute(bytes, start + NFGENMSG_BYTES, end, (attribute, from, to) => {
            if (attribute === GENERATION && to - from === 4) generation = bytes.readUInt32BE(from);
          });
        },
      );
    } catch (error) {
      const expected =
        error instanceof NetlinkError ||
        error instanceof SystemCallError ||
        error instanceof MalformedMessageError;
      if (!expected) throw error;
      this.close();
    }
    return generation;
  }

  close(): void {
    this.#socket?.close();
    this.#socket = undefined;
  }
}
