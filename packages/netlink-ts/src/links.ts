/** The kernel's links: listing, making, changing and removing them. */
import { Errno, invalid, NetlinkError } from "./errors.ts";
import { decodeLink, encodeLink, encodeLinkQuery, type Link, type LinkSpec } from "./link.ts";
import { Flag } from "./message.ts";
import type { NetlinkSocket } from "./netlink-socket.ts";
import { Rtm } from "./rtm.ts";

/** A link by its index or its name. */
export type LinkKey = number | string;

/** One request each; rejects with the kernel's {@link NetlinkError}, `EINVAL` before it is sent. */
export class Links {
  readonly #socket: NetlinkSocket;

  constructor(socket: NetlinkSocket) {
    this.#socket = socket;
  }

  /** All links of the namespace. */
  list(): Promise<Link[]> {
    return this.#socket.dump(
      (writer) => {
        writer.begin(Rtm.GETLINK, Flag.REQUEST | Flag.DUMP);
        encodeLinkQuery(writer, {});
        writer.end();
      },
      ({ type, bytes, start, end }) =>
        type === Rtm.NEWLINK ? decodeLink(bytes, start, end) : undefined,
    );
  }

  /** One link, or undefined when there is none. */
  async get(key: LinkKey): Promise<Link | undefined> {
    let link: Link | undefined;
    try {
      await this.#socket.request(
        (writer) => {
          writer.begin(Rtm.GETLINK, Flag.REQUEST);
          encodeLinkQuery(writer, select(key));
          writer.end();
        },
        ({ type, bytes, start, end }) => {
          if (type === Rtm.NEWLINK) link = decodeLink(bytes, start, end);
        },
      );
    } catch (error) {
      if (error instanceof NetlinkError && error.errno === Errno.ENODEV) return undefined;
      throw error;
    }
    return link;
  }

  /** Makes a link of `spec.info.kind`; EEXIST when the name is taken. */
  create(spec: LinkSpec): Promise<void> {
    return this.#change(Rtm.NEWLINK, Flag.CREATE | Flag.EXCL, spec);
  }

  /** Changes what `change` names; a new name needs the link to be given by its index. */
  async set(key: LinkKey, change: LinkSpec): Promise<void> {
    let target = select(key);
    if (typeof key === "string" && change.name !== undefined) {
      const link = await this.get(key);
      if (link === undefined) {
        throw new NetlinkError(Errno.ENODEV, { text: `no link ${JSON.stringify(key)}` });
      }
      target = { index: link.index };
    }
    return this.#change(Rtm.NEWLINK, 0, { ...change, ...target });
  }

  /** Removes a link, and the other end of a veth pair with it; ENODEV when there is none. */
  async delete(key: LinkKey): Promise<void> {
    return this.#change(Rtm.DELLINK, 0, select(key));
  }

  #change(type: number, flags: number, spec: LinkSpec): Promise<void> {
    return this.#socket.request((writer) => {
      writer.begin(type, Flag.REQUEST | flags);
      encodeLink(writer, spec);
      writer.end();
    });
  }
}

/** The kernel takes an index of 0 for none, and looks at the name that a change gives instead. */
function select(key: LinkKey): LinkSpec {
  if (key === 0) throw invalid("not the index of a link: 0");
  return typeof key === "number" ? { index: key } : { name: key };
}
