/**
 * Conformance on the wire: what a live session answers to each class of error, to the byte, and
 * that what RFC 7606 makes of a bad attribute costs a route at most: the good route that is sent
 * last arrives. The decoder's own table is driven through sessions as a whole.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Capability, OpenMessage } from "../../../src/bgp/message/types.ts";
import type { PeerConfig } from "../../../src/bgp/types.ts";
import { hex, message, openOf, RawPeer } from "../../support/raw-peer.ts";
import { ip, type TestNode, World } from "../../support/speakers.ts";
import { attribute, update } from "../message/build.ts";
import { ATTRIBUTE_CASES, type AttributeCase, type Peer } from "../message/conformance-cases.ts";

const ACCEPT = { name: "all", statements: [], defaultResult: "accept" } as const;
const BAD = ip("192.0.2.66");
const AS: Readonly<Record<Peer, number>> = { internal: 64_512, external: 65_001, old: 65_001 };
const KEEPALIVE = message(4, new Uint8Array(0));

function capabilities(peer: Peer): Capability[] {
  return [
    { kind: "multiprotocol", family: 4 },
    { kind: "multiprotocol", family: 6 },
    { kind: "routeRefresh" },
    { kind: "enhancedRouteRefresh" },
    ...(peer === "old" ? [] : [{ kind: "fourOctetAs", as: AS[peer] } as const]),
  ];
}

/** A speaker, a peer that does wrong, and one beside it that must not notice. */
class Bench {
  readonly world = new World({ windowBytes: 1_000_000 });
  readonly node: TestNode = this.world.node("192.0.2.1");
  readonly raw = new RawPeer(this.world.network.host(BAD), BAD).listen();
  readonly #beside: RawPeer;
  readonly #peer: Peer;
  readonly #changes: Partial<PeerConfig>;

  constructor(peer: Peer = "internal", changes: Partial<PeerConfig> = {}) {
    this.#peer = peer;
    this.#changes = changes;
    const address = ip("192.0.2.10");
    this.#beside = new RawPeer(this.world.network.host(address), address).listen();
    this.#beside.autoOpen = openOf(address);
    this.#beside.keepalives = true;
    this.node.speaker.setPeers([this.besideConfig]);
    this.node.speaker.start();
    this.world.until(() => this.#stateOf(address) === "Established", "the peer beside");
  }

  get besideConfig(): PeerConfig {
    return { ...this.node.peerTo(this.node), address: this.#beside.address };
  }

  get badConfig(): PeerConfig {
    const changes = {
      address: BAD,
      remoteAs: AS[this.#peer],
      families: [4, 6],
      enhancedRouteRefresh: true,
      gracefulRestart: undefined,
      importPolicy: ACCEPT,
      exportPolicy: ACCEPT,
      holdSeconds: 9,
    } as const;
    return { ...this.node.peerTo(this.node), ...changes, ...this.#changes };
  }

  /** A new session, or with "silent" a connection on which the peer is silent. */
  begin(open: OpenMessage | "silent" = this.open()): this {
    const { speaker } = this.node;
    speaker.setPeers([this.besideConfig]);
    this.world.advance(5);
    this.raw.autoOpen = open === "silent" ? undefined : open;
    this.raw.forget();
    speaker.setPeers([this.besideConfig, this.badConfig]);
    this.world.until(() => this.raw.names.startsWith("OPEN"), "its OPEN");
    this.world.advance(5);
    return this;
  }

  open(changes: Partial<OpenMessage> = {}): OpenMessage {
    return openOf(BAD, {
      as2: AS[this.#peer],
      holdSeconds: 9,
      capabilities: capabilities(this.#peer),
      ...changes,
    });
  }

  send(...messages: Uint8Array[]): this {
    this.raw.send(...messages);
    this.world.advance(5);
    return this;
  }

  get state(): string {
    return this.#stateOf(BAD);
  }

  /** The body of the one NOTIFICATION that came, as hexadecimal; its header is checked. */
  notification(): string {
    const list = this.raw.hex(3);
    assert.equal(list.length, 1, this.raw.names);
    const body = list[0]!.slice(38);
    const length = (19 + body.length / 2).toString(16).padStart(4, "0");
    assert.equal(list[0], `${"ff".repeat(16)}${length}03${body}`);
    assert.ok(this.raw.names.endsWith("NOTIFICATION"), "nothing comes behind it");
    return body;
  }

  errors(): Readonly<Record<string, number>> {
    return this.node.speaker.peer(BAD)!.errors;
  }

  errorCount(): number {
    return Object.values(this.errors()).reduce((sum, count) => sum + count, 0);
  }

  received(): number {
    return this.node.speaker.peer(BAD)!.families.reduce((sum, each) => sum + each.received, 0);
  }

  checkBeside(): void {
    const { state, established } = this.node.speaker.peer(this.#beside.address)!;
    assert.equal(`${state} ${established}`, "Established 1");
  }

  #stateOf(address: typeof BAD): string {
    return this.node.speaker.peer(address)?.state ?? "none";
  }
}

const text = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");
const header = (length: string, type: string) => hex(`${"ff".repeat(16)}${length}${type}`);
const rawOpen = (body: string) => message(1, hex(body));
const SHORT_REFRESH = message(5, hex("0001 0101 00"));

/** What an established session is sent, and the body of the NOTIFICATION that answers it. */
const ESTABLISHED: readonly (readonly [string, Uint8Array, string])[] = [
  ["header: marker (RFC 4271 §6.1)", hex(`${"ff".repeat(15)}fe001304`), "0101"],
  ["header: length below 19", header("0012", "04"), "01020012"],
  ["header: length above 4096", header("1001", "02"), "01021001"],
  ["header: KEEPALIVE of 20 octets", header("0014", "04"), "01020014"],
  ["header: UPDATE of 22 octets", header("0016", "02"), "01020016"],
  ["header: NOTIFICATION of 20 octets", header("0014", "03"), "01020014"],
  ["header: unknown type", header("0013", "00"), "010300"],
  ["header: type 255", header("0013", "ff"), "0103ff"],
  ["UPDATE: attribute list too long (RFC 4271 §6.3)", message(2, hex("0000 0010 400101")), "0301"],
  ["UPDATE: withdrawn routes too long", message(2, hex("0010 0000")), "0301"],
  [
    "UPDATE: ORIGIN of stated 32 octets (RFC 7606 §5.2)",
    message(2, hex("0000 0003 400120")),
    "0301",
  ],
  ["UPDATE: unknown well-known", update([attribute(0x40, 99, "01")], "08 0a"), "030240630101"],
  ["UPDATE: MP_REACH_NLRI cut", update([attribute(0x80, 14, "0002")]), "0309800e020002"],
  ["UPDATE: prefix of 33 bits", update([], "21 0a000000 00"), "030a"],
  ["FSM: a second OPEN (RFC 6608)", rawOpen("04 fc00 0009 c0000242 00"), "050301"],
  ["route refresh: length (RFC 7313 §5)", SHORT_REFRESH, `0701${text(SHORT_REFRESH)}`],
];

for (const [name, bytes, expected] of ESTABLISHED) {
  test(`established, ${name}: ${expected}`, () => {
    const bench = new Bench().begin();
    assert.equal(bench.state, "Established");
    bench.send(bytes);
    assert.equal(bench.notification(), expected);
    assert.notEqual(bench.state, "Established");
    assert.deepEqual(Object.values(bench.errors()), [1]);
    bench.checkBeside();
  });
}

/** What a fresh connection is sent in place of a good OPEN. */
const FRESH: readonly (readonly [string, Uint8Array, string])[] = [
  ["version 3 (RFC 4271 §6.2)", rawOpen("03 fc00 0009 c0000242 00"), "02010004"],
  ["another AS", rawOpen("04 fc01 0009 c0000242 00"), "0202"],
  ["AS 0 (RFC 7607)", rawOpen("04 0000 0009 c0000242 00"), "0202"],
  ["identifier 0", rawOpen("04 fc00 0009 00000000 00"), "0203"],
  ["our own identifier (RFC 6286)", rawOpen("04 fc00 0009 c0000201 00"), "0203"],
  ["an optional parameter of type 1", rawOpen("04 fc00 0009 c0000242 03 010101"), "0204"],
  ["hold time 1", rawOpen("04 fc00 0001 c0000242 00"), "0206"],
  ["hold time 2", rawOpen("04 fc00 0002 c0000242 00"), "0206"],
  ["parameters longer than the message", rawOpen("04 fc00 0009 c0000242 09 0206"), "0200"],
  ["KEEPALIVE in OpenSent (RFC 6608)", KEEPALIVE, "050104"],
  ["UPDATE in OpenSent", update([]), "050102"],
  ["marker in OpenSent", hex(`${"00".repeat(16)}001d01`), "0101"],
];

for (const [name, bytes, expected] of FRESH) {
  test(`fresh connection, ${name}: ${expected}`, () => {
    const bench = new Bench();
    bench.begin("silent").raw.send(bytes);
    bench.world.advance(5);
    assert.equal(bench.notification(), expected);
    assert.deepEqual(Object.values(bench.errors()), [1]);
    bench.checkBeside();
  });
}

test("a second OPEN in OpenConfirm: passed over when it is the first one again, otherwise 5/2", () => {
  const open = rawOpen("04 fc00 0009 c0000242 00");
  const repeated = new Bench().begin("silent");
  repeated.send(open, open, KEEPALIVE);
  assert.deepEqual(repeated.raw.hex(3), []);
  assert.equal(repeated.state, "Established");
  const other = new Bench().begin("silent");
  other.send(open, rawOpen("04 fc00 0009 c0000243 00"));
  assert.equal(other.notification(), "050201");
});

test("UPDATE in OpenConfirm: 5/2", () => {
  const bench = new Bench().begin("silent");
  bench.send(rawOpen("04 fc00 0009 c0000242 00"), update([]));
  assert.equal(bench.notification(), "050202");
});

test("silence: hold timer expired, 4/0", () => {
  const bench = new Bench().begin();
  bench.world.advance(9_600);
  assert.equal(bench.notification(), "0400");
  bench.checkBeside();
});

const CEASE: readonly (readonly [string, (bench: Bench) => void, string])[] = [
  [
    "maximum prefixes (RFC 4486 §4): AFI, SAFI, limit",
    (bench) => bench.send(update(good("internal"), "08 0a 08 0b 08 0c")),
    "0601 0001 01 00000002",
  ],
  [
    "administrative shutdown with a text (RFC 9003)",
    ({ node, besideConfig, badConfig }) =>
      node.speaker.setPeers([besideConfig, { ...badConfig, shutdown: { message: "bye" } }]),
    `0602 03 ${Buffer.from("bye").toString("hex")}`,
  ],
  ["peer de-configured", ({ node, besideConfig }) => node.speaker.setPeers([besideConfig]), "0603"],
  ["administrative reset", ({ node }) => void node.speaker.resetPeer(BAD, "hard"), "0604"],
  [
    "other configuration change",
    ({ node, besideConfig, badConfig }) =>
      node.speaker.setPeers([besideConfig, { ...badConfig, families: [4] }]),
    "0606",
  ],
];

for (const [name, act, expected] of CEASE) {
  test(`cease, ${name}: ${expected}`, () => {
    const maximumPrefixes = { limit: 2, warningPercent: 75, restartSeconds: 0 };
    const bench = new Bench("internal", { maximumPrefixes }).begin();
    act(bench);
    bench.world.advance(5);
    assert.equal(bench.notification(), expected.replaceAll(" ", ""));
    bench.checkBeside();
  });
}

test("too many prefixes and a connection too many are counted for the peer", () => {
  const maximumPrefixes = { limit: 2, warningPercent: 75, restartSeconds: 0 };
  const bench = new Bench("internal", { maximumPrefixes }).begin();
  new RawPeer(bench.raw.host, BAD).dial(bench.node.address);
  bench.world.advance(5);
  assert.deepEqual(bench.errors(), { "connection refused: a session is established": 1 });
  bench.send(update(good("internal"), "08 0a 08 0b 08 0c"));
  assert.equal(bench.errors()["more prefixes than the limit"], 1);
});

/** The attributes of a good route, by type. */
function goodAttributes(peer: Peer): Map<number, Uint8Array> {
  const path = { internal: "", external: "02 01 0000fde9", old: "02 01 fde9" }[peer];
  const list = new Map([
    [1, attribute(0x40, 1, "00")],
    [2, attribute(0x40, 2, path)],
    [3, attribute(0x40, 3, "c0000242")],
  ]);
  if (peer === "internal") list.set(5, attribute(0x40, 5, "00000064"));
  return list;
}

function good(peer: Peer): Uint8Array[] {
  return [...goodAttributes(peer).values()];
}

/** One row of the decoder's table through a session that is up. */
function drive(bench: Bench, row: AttributeCase, peer: Peer): void {
  const bad = attribute(row.flags, row.type, row.value);
  const list = goodAttributes(peer);
  list.set(row.type, bad);
  const what = `${row.name}, ${peer} peer`;
  const [treatment, code, data] = row.expected.split(" ");
  // Good routes first, to see them go.
  bench.send(update(good(peer), "08 0a 08 0b"));
  assert.equal(bench.received(), 2, what);
  const counted = bench.errorCount();
  bench.send(update([...list.values()], "08 0a 08 0b"));
  assert.equal(bench.errorCount() - counted, treatment === "none" ? 0 : 1, what);
  if (treatment === "reset") {
    const [high, low] = code!.split("/").map(Number);
    const rest = data === "+attribute" ? text(bad) : "";
    assert.equal(bench.notification(), `${text(Uint8Array.of(high!, low!))}${rest}`, what);
    assert.notEqual(bench.state, "Established");
    bench.begin();
  } else {
    assert.equal(bench.received(), treatment === "withdraw" ? 0 : 2, what);
  }
  bench.send(update(good(peer), "18 c63364"), KEEPALIVE);
  const paths = [...bench.node.speaker.ribPaths({ view: "loc" })];
  assert.ok(
    paths.some(({ prefix, best }) => prefix === "198.51.100.0/24" && best),
    `${what}: the good route behind it`,
  );
  assert.equal(bench.state, "Established", what);
  bench.send(update([], "", "08 0a 08 0b 18 c63364"));
  assert.equal(bench.received(), 0, what);
}

for (const peer of ["internal", "external", "old"] as const) {
  const rows = ATTRIBUTE_CASES.filter(({ peers }) => peers.includes(peer));
  test(`every row of the attribute table, ${peer} peer: treated so, and the good route arrives`, () => {
    assert.ok(rows.length > 50, `${rows.length} rows`);
    const bench = new Bench(peer).begin();
    for (const row of rows) drive(bench, row, peer);
    bench.checkBeside();
  });
}
