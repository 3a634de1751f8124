/**
 * Two namespaces joined by a link, a speaker in each, and a capture of what they say.
 *
 *     left  10.0.0.1 fd00::1 ───────────── right  10.0.0.2 fd00::2
 *           10.0.0.3 fd00::3 (injector)           10.0.0.4 fd00::4 (injector)
 *
 * The injectors' addresses are for a third speaker that feeds the speaker of the other side.
 */
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { keptFolder } from "../../../packages/netlink-ts/test/support/keeper.ts";
import type { IpFamily } from "../../../src/ip/address.ts";
import { Namespaces } from "../namespaces.ts";
import { until } from "../shell.ts";
import type { NeighborSetup, PeerDaemon, PeerSetup } from "./peer.ts";
import { NamespaceProcess } from "./process.ts";

export type Side = "left" | "right";

/** Addresses by side and family; `injector` is who feeds the speaker of the other side. */
export const ADDRESSES = {
  left: { 4: "10.0.0.1", 6: "fd00::1", injector: "10.0.0.3" },
  right: { 4: "10.0.0.2", 6: "fd00::2", injector: "10.0.0.4" },
} as const;

export function otherSide(side: Side): Side {
  return side === "left" ? "right" : "left";
}

/** Tcpdump would go on when we die, as a user of its own: that clears what the kernel would do. */
const STAY_ROOT = ["-Z", "root"] as const;
/** A capture has so long to be written when it is to end. */
const WRITE_MS = 2000;

export class Lab {
  readonly namespaces = new Namespaces();
  readonly folder = keptFolder();
  readonly #stops: (() => Promise<void>)[] = [];

  private constructor() {}

  static async build(): Promise<Lab> {
    const lab = new Lab();
    try {
      await lab.#make();
    } catch (error) {
      await lab.remove();
      throw error;
    }
    return lab;
  }

  async #make(): Promise<void> {
    const ns = this.namespaces;
    for (const side of ["left", "right"]) await ns.add(side);
    await ns.veth("left", "eth0", "right", "eth0");
    for (const [side, extra] of [
      ["left", 3],
      ["right", 4],
    ] as const) {
      await ns.ip(side, `addr add ${ADDRESSES[side][4]}/24 dev eth0`);
      await ns.ip(side, `addr add ${ADDRESSES[side][6]}/64 dev eth0 nodad`);
      await ns.ip(side, `addr add 10.0.0.${extra}/24 dev eth0`);
      await ns.ip(side, `addr add fd00::${extra}/64 dev eth0 nodad`);
    }
  }

  /** What an adapter needs for the speaker of one side. */
  async setup(
    side: Side,
    name: string,
    options: Pick<PeerSetup, "as" | "neighbors"> & Partial<PeerSetup>,
  ): Promise<PeerSetup> {
    const folder = join(this.folder, name);
    await mkdir(folder);
    return {
      namespace: this.namespaces.name(side),
      folder,
      routerId: ADDRESSES[side][4],
      addresses: [ADDRESSES[side][4], ADDRESSES[side][6]],
      ...options,
    };
  }

  /** To be stopped with the lab. */
  add<T extends Pick<PeerDaemon, "stop">>(daemon: T): T {
    this.#stops.push(() => daemon.stop());
    return daemon;
  }

  /** Captures what the two speakers (not the injectors) say to each other. */
  async capture(family: IpFamily = 4): Promise<Capture> {
    const file = join(this.folder, `session${this.#stops.length}.pcap`);
    const tcpdump = new NamespaceProcess("tcpdump", this.namespaces.name("left"));
    const [left, right] = [ADDRESSES.left[family], ADDRESSES.right[family]];
    const filter = `tcp port 179 and host ${left} and host ${right}`;
    tcpdump.start("tcpdump", [
      ...STAY_ROOT,
      "-i",
      "eth0",
      "-U",
      "--immediate-mode",
      "-B",
      "65536",
      "-w",
      file,
      ...filter.split(" "),
    ]);
    this.#stops.push(() => tcpdump.stop());
    await tcpdump.ready(async () => tcpdump.output.includes("listening on"));
    return {
      file,
      stop: async () => {
        // Its counts need not meet: packets that came before its filter are in one of them only.
        const written = until("tcpdump has written all", () => hasWrittenAll(tcpdump), WRITE_MS);
        await written.catch(() => undefined);
        await tcpdump.stop();
      },
    };
  }

  /**
   * Ends all processes, newest first, and removes all. Safe at any point, and twice. What cannot be
   * ended is told when all the rest is gone: that it is tried again would help nobody.
   */
  async remove(): Promise<void> {
    const faults: unknown[] = [];
    const note = (error: unknown) => void faults.push(error);
    for (const stop of this.#stops.splice(0).reverse()) await stop().catch(note);
    await this.namespaces.remove();
    await rm(this.folder, { recursive: true, force: true }).catch(note);
    if (faults.length > 0) throw faults[0];
  }
}

export interface Capture {
  readonly file: string;
  /** Ends it, when all that was said until now stands in the file if it can be waited for. */
  stop(): Promise<void>;
}

/** A signal ends tcpdump behind the packet at hand: on a busy disk most are still to be written. */
async function hasWrittenAll(tcpdump: NamespaceProcess): Promise<boolean> {
  if (!tcpdump.running) return true;
  tcpdump.daemon.child.kill("SIGUSR1");
  const counts = /(\d+) packets? captured, (\d+) .* by filter, (\d+) .* dropped by kernel/g;
  const last = [...tcpdump.output.matchAll(counts)].at(-1);
  if (last === undefined) return false;
  // Those that were dropped count as received.
  const [captured = 0, received = 0, dropped = 0] = last.slice(1).map(Number);
  return captured + dropped >= received;
}

/** How one side sees the other; the plain case unless told otherwise. */
export function neighborOf(
  side: Side,
  as: number,
  options: Partial<NeighborSetup> & { readonly family?: IpFamily } = {},
): NeighborSetup {
  const { family = 4, ...rest } = options;
  return {
    address: ADDRESSES[otherSide(side)][family],
    localAddress: ADDRESSES[side][family],
    as,
    passive: false,
    holdSeconds: 90,
    families: [4, 6],
    password: undefined,
    gracefulRestart: true,
    addPath: "none",
    extendedNextHop: false,
    extendedMessage: false,
    fourOctetAs: true,
    ttlSecurity: false,
    longLived: false,
    client: false,
    ...rest,
  };
}
