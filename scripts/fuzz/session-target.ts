/**
 * The whole way of a peer's octets: connection, framer, session, decoder, RIB, and what goes out to
 * others for it. A speaker on a network in memory with a good peer, a watching one, and a hostile
 * one that gets the fuzzer's input: as an established session, or on a fresh connection.
 *
 * What must hold after every input: nothing throws; the good peer's session stands and its route is
 * there; a new route of it is taken; and when the hostile peer is removed nothing of it is left.
 */
import { encodeKeepalive } from "../../src/bgp/message/keepalive.ts";
import type { PeerConfig } from "../../src/bgp/types.ts";
import { announce, hex, message, openOf, RawPeer } from "../../test/support/raw-peer.ts";
import { ip, type TestNode, World } from "../../test/support/speakers.ts";

const GOOD = ip("192.0.2.10");
const WATCHER = ip("192.0.2.11");
const HOSTILE = ip("192.0.2.66");
const ROUTE = 0xfffe;
/** No input makes the simulation wait longer than this for a session, in its own time. */
const WAIT_MS = 5_000;

const ACCEPT = { name: "all", statements: [], defaultResult: "accept" } as const;
const ADD_PATH = 3;
const RESTART = { restartSeconds: 90, notification: true, longLivedSeconds: 60 };

/** Kinds of hostile peers, by what is negotiated with them. */
const KINDS: Readonly<Record<string, { as: number; settings: Partial<PeerConfig> }>> = {
  internal: { as: 64_512, settings: { gracefulRestart: RESTART } },
  external: { as: 65_001, settings: { importPolicy: ACCEPT, exportPolicy: ACCEPT } },
  addPath: {
    as: 64_512,
    settings: { addPath: "both", families: [4, 6], extendedMessage: true },
  },
  reflected: {
    as: 64_512,
    settings: { routeReflectorClient: true, families: [4, 6], enhancedRouteRefresh: true },
  },
  limited: {
    as: 64_512,
    settings: { maximumPrefixes: { limit: 3, warningPercent: 50, restartSeconds: 1 } },
  },
};
export const SESSION_KINDS = Object.keys(KINDS);

function raw(world: World, address: typeof GOOD, as = 64_512): RawPeer {
  const peer = new RawPeer(world.network.host(address), address).listen();
  peer.autoOpen = fullOpen(address, as);
  peer.keepalives = true;
  return peer;
}

/** Offers everything that we know of, so that every path of the speaker is open. */
function fullOpen(address: typeof GOOD, as: number) {
  const open = openOf(address, { as2: as });
  const families = [4, 6] as const;
  return {
    ...open,
    capabilities: [
      ...families.map((family) => ({ kind: "multiprotocol", family }) as const),
      { kind: "routeRefresh" } as const,
      { kind: "enhancedRouteRefresh" } as const,
      { kind: "extendedMessage" } as const,
      { kind: "fourOctetAs", as } as const,
      {
        kind: "addPath",
        families: families.map((family) => ({ family, mode: ADD_PATH }) as const),
      } as const,
      {
        kind: "gracefulRestart",
        restarted: false,
        notification: true,
        restartSeconds: 90,
        families: families.map((family) => ({ family, forwardingPreserved: true })),
      } as const,
    ],
  };
}

export class SessionTarget {
  readonly #world = new World({ windowBytes: 1_000_000 });
  readonly #node: TestNode;
  readonly #good: RawPeer;
  readonly #watcher: RawPeer;
  readonly #hostile: RawPeer;
  #kind = "";
  #turn = 0;

  constructor() {
    const world = this.#world;
    this.#node = world.node("192.0.2.1");
    this.#good = raw(world, GOOD);
    this.#watcher = raw(world, WATCHER);
    this.#hostile = raw(world, HOSTILE);
    const { speaker } = this.#node;
    speaker.setPeers(this.#others());
    speaker.start();
    this.#until(() => this.#isUp(GOOD) && this.#isUp(WATCHER), "the good peers");
    this.#good.send(announce(GOOD, ROUTE));
    this.#until(() => this.#goodRoutes() === 1, "the good route");
  }

  /** Gives the hostile peer's octets to a session of this kind; throws when a rule is broken. */
  run(chunks: readonly Uint8Array[], kind: string, fresh: boolean): void {
    this.#prepare(kind, fresh);
    const { speaker } = this.#node;
    const before = speaker.peer(HOSTILE)!.received;
    for (const chunk of chunks) {
      this.#hostile.connection?.write([chunk]);
      this.#world.advance(3);
    }
    this.#world.advance(20);
    this.#checkOthers();
    const after = speaker.peer(HOSTILE)!.received;
    if (after.bytes < before.bytes) throw new Error("counters went back");
    if (++this.#turn % 16 === 0) this.#checkNothingLeft();
    this.#hostile.forget();
    this.#watcher.forget();
    this.#good.forget();
  }

  /** The good peer is up since the beginning, has its route, and a new one is taken. */
  #checkOthers(): void {
    const { speaker } = this.#node;
    for (const address of [GOOD, WATCHER]) {
      const { state, established, lastError } = speaker.peer(address)!;
      if (state === "Established" && established === 1) continue;
      throw new Error(`session with ${address} lost: ${lastError?.reason}`);
    }
    const another = this.#turn & 0xff;
    // UPDATEs to it put our KEEPALIVEs off, which it answers with its own.
    this.#watcher.send(encodeKeepalive());
    this.#good.send(announce(GOOD, another));
    this.#world.advance(10);
    if (this.#goodRoutes() !== 2) throw new Error("a good route is missing");
    const gone = another.toString(16).padStart(2, "0");
    this.#good.send(message(2, hex(`0004 180a00${gone} 0000`)));
    this.#world.advance(10);
    if (this.#goodRoutes() !== 1) throw new Error("a good withdrawal is missing");
  }

  /** Without the hostile peer the table is what it was before it came. */
  #checkNothingLeft(): void {
    this.#node.speaker.setPeers(this.#others());
    this.#kind = "";
    this.#world.advance(50);
    const { prefixes, paths } = this.#node.speaker.tableSizes();
    if (prefixes === 1 && paths === 1) return;
    throw new Error(`${prefixes} prefixes, ${paths} paths left of a peer that is gone`);
  }

  /** A hostile peer of this kind, its session up or its fresh connection open. */
  #prepare(kind: string, fresh: boolean): void {
    const hostile = this.#hostile;
    const { as, settings } = KINDS[kind]!;
    const usable = this.#kind === kind && this.#isUp(HOSTILE);
    if (usable && !fresh) return;
    // A new peer, for an old one would be held off longer each time.
    this.#node.speaker.setPeers(this.#others());
    this.#world.advance(5);
    this.#kind = fresh ? "" : kind;
    hostile.autoOpen = fresh ? undefined : fullOpen(HOSTILE, as);
    hostile.forget();
    hostile.connection = undefined;
    const config = this.#node.peerTo(this.#node, { remoteAs: as, ...settings });
    this.#node.speaker.setPeers([...this.#others(), { ...config, address: HOSTILE }]);
    const ready = () => (fresh ? hostile.names === "OPEN" : this.#isUp(HOSTILE));
    this.#until(ready, "the hostile session");
    if (!fresh) this.#world.advance(5);
  }

  #others(): PeerConfig[] {
    return [GOOD, WATCHER].map((address) => ({ ...this.#node.peerTo(this.#node), address }));
  }

  #isUp(address: typeof GOOD): boolean {
    return this.#node.speaker.peer(address)?.state === "Established";
  }

  #goodRoutes(): number {
    return this.#node.speaker.peer(GOOD)!.families[0]!.received;
  }

  #until(condition: () => boolean, what: string): void {
    this.#world.until(condition, what, WAIT_MS);
  }
}
