/**
 * Where a run happens: two network namespaces joined by a link, the daemon in one, all of its
 * peers in the other.
 *
 *   daemon 198.19.0.1/24 ── link ── peers 198.19.0.2 … .254/24   (senders and receivers)
 *   route 198.18.0.0/16 via 198.19.0.2   198.18.0.0/16 all local (peers by the thousand)
 *
 * The thousand lie behind one neighbour entry, for the kernel's table of these is small and shared
 * by all namespaces.
 */
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { keptFolder } from "../packages/netlink-ts/test/support/keeper.ts";
import { Namespaces } from "../test/support/namespaces.ts";
import { until } from "../test/support/shell.ts";
import type { DaemonKind, DaemonSetup, Neighbor, RunningDaemon } from "./daemons/daemon.ts";
import { Generator } from "./generator/client.ts";
import { type GeneratorSetup, now, type PeerSpec } from "./generator/peers.ts";
import { Listening } from "./measure/listening.ts";

const DAEMON_ADDRESS = "198.19.0.1";
export const DAEMON_AS = 64_512;
export const BGP_PORT = 179;
const START_MS_MAX = 30_000;

/** Address of sender or receiver number `index`, on the daemon's own link. */
export function linkAddress(index: number): string {
  if (index > 250) throw new Error("bug: no such address on the link");
  return `198.19.0.${index + 2}`;
}

/** Address of one of the thousand. */
export function peerAddress(index: number): string {
  return `198.18.${1 + (index >> 8)}.${index & 255}`;
}

/** How the daemon is to see the peers of a generator. */
export interface DaemonOptions {
  readonly neighbors: readonly Neighbor[];
  readonly holdSeconds?: number;
  readonly kernel?: boolean;
  readonly watchLoop?: boolean;
}

export interface Started {
  readonly daemon: RunningDaemon;
  /** Its own folder. */
  readonly folder: string;
  /** Both ms since the epoch. */
  readonly startedAt: number;
  readonly listensAt: number;
}

export class Stage {
  readonly namespaces = new Namespaces();
  readonly folder = keptFolder();
  readonly generator = new Generator(this.namespaces.name("peers"));
  readonly #daemons = new Set<RunningDaemon>();
  readonly #stops: (() => Promise<void>)[] = [];
  #removal: Promise<void> | undefined;
  #count = 0;

  private constructor() {}

  static async build(links = 40): Promise<Stage> {
    const stage = new Stage();
    const ns = stage.namespaces;
    try {
      for (const label of ["daemon", "peers"]) await ns.add(label);
      await ns.veth("daemon", "eth0", "peers", "eth0");
      await ns.ip("daemon", `addr add ${DAEMON_ADDRESS}/24 dev eth0`);
      for (let i = 0; i < links; i++)
        await ns.ip("peers", `addr add ${linkAddress(i)}/24 dev eth0`);
      await ns.ip("daemon", `route add 198.18.0.0/16 via ${linkAddress(0)}`);
      await ns.ip("peers", "route add local 198.18.0.0/16 dev lo");
    } catch (error) {
      await stage.remove();
      throw error;
    }
    return stage;
  }

  /** The generator with these peers; what was before is gone. */
  peers(peers: readonly PeerSpec[], holdSeconds = 90): Promise<void> {
    const setup: GeneratorSetup = {
      daemon: { address: DAEMON_ADDRESS, port: BGP_PORT },
      holdSeconds,
      peers,
    };
    return this.generator.start(setup);
  }

  /** Starts a daemon and waits until it listens. */
  async start(kind: DaemonKind, options: DaemonOptions): Promise<Started> {
    const folder = join(this.folder, `${kind.key}-${this.#count++}`);
    await mkdir(folder);
    const setup: DaemonSetup = {
      namespace: this.namespaces.name("daemon"),
      folder,
      address: DAEMON_ADDRESS,
      port: BGP_PORT,
      as: DAEMON_AS,
      routerId: DAEMON_ADDRESS,
      holdSeconds: options.holdSeconds ?? 90,
      neighbors: options.neighbors,
      kernel: options.kernel ?? false,
      watchLoop: options.watchLoop ?? false,
    };
    const startedAt = now();
    const daemon = await kind.start(setup);
    this.#daemons.add(daemon);
    const listening = new Listening(setup.namespace);
    const outcome = await until(
      `${kind.label} listens`,
      async () => {
        if (!daemon.running) return "ended";
        return (await listening.has(BGP_PORT)) ? "listens" : undefined;
      },
      START_MS_MAX,
      1,
    )
      .catch((error: Error) => {
        throw new Error(`${error.message}: ${daemon.output}`, { cause: error });
      })
      .finally(() => listening.close());
    if (outcome === "ended") throw new Error(`${kind.label} ended: ${daemon.output}`);
    return { daemon, folder, startedAt, listensAt: now() };
  }

  async stop(daemon: RunningDaemon): Promise<void> {
    await daemon.stop();
    this.#daemons.delete(daemon);
  }

  /** Something else to be ended with the stage. */
  add(stop: () => Promise<void>): void {
    this.#stops.push(stop);
  }

  /** Ends all processes and removes all. Safe at any point, and twice. */
  remove(): Promise<void> {
    this.#removal ??= (async () => {
      for (const daemon of this.#daemons) await daemon.stop();
      await this.generator.stop().catch(() => undefined);
      for (const stop of this.#stops.reverse()) await stop().catch(() => undefined);
      await this.namespaces.remove();
      await rm(this.folder, { recursive: true, force: true });
    })();
    return this.#removal;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.remove();
  }
}
