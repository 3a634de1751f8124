import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { readNodeAnnotations } from "../../src/k8s/annotations.ts";

const PASSWORD = "hunter2!";
const PASSWORD_BASE64 = Buffer.from(PASSWORD).toString("base64");

function read(annotations: Record<string, string>) {
  const { values, problems } = readNodeAnnotations("node1", new Map(Object.entries(annotations)));
  return { values, messages: problems.map((problem) => problem.message) };
}

/** The tail of a message after the Node and the annotation's name. */
function complaint(name: string, annotations: Record<string, string>): string {
  const { messages } = read(annotations);
  assert.equal(messages.length, 1, messages.join("\n"));
  const start = `Node node1: metadata.annotations[kube-router.io/${name}] `;
  assert.ok(messages[0]!.startsWith(start), messages[0]);
  return messages[0]!.slice(start.length);
}

test("no annotations: nothing set, nothing wrong", () => {
  assert.deepEqual(read({}), {
    values: {
      asn: undefined,
      peers: [],
      peersLeftOut: [],
      routeReflectorServer: undefined,
      routeReflectorClient: undefined,
      pathPrepend: undefined,
      communities: [],
      importReject: [],
      localAddresses: [],
    },
    messages: [],
  });
});

describe("node.asn", () => {
  for (const [text, expected] of [
    ["64513", 64513],
    ["1", 1],
    [" 4200000000 ", 4200000000],
    ["4294967294", 4294967294],
  ] as const) {
    test(text, () => assert.equal(read({ "node.asn": text }).values.asn, expected));
  }
  for (const text of [
    "",
    "0",
    "23456",
    "65535",
    "4294967295",
    "4294967296",
    "-1",
    "1.5",
    "0x10",
    "AS64512",
    "64512 64513",
  ]) {
    test(`refused: "${text}"`, () => {
      assert.match(complaint("node.asn", { "node.asn": text }), /is not an AS number/);
      assert.equal(read({ "node.asn": text }).values.asn, undefined);
    });
  }
});

describe("route reflection", () => {
  test("cluster ids as number and as address", () => {
    const { values } = read({ "rr.server": "42", "rr.client": "10.0.0.1" });
    assert.equal(values.routeReflectorServer, "0.0.0.42");
    assert.equal(values.routeReflectorClient, "10.0.0.1");
  });
  test("nonsense", () => {
    assert.match(complaint("rr.server", { "rr.server": "yes" }), /"yes" is not a cluster id/);
    assert.match(complaint("rr.client", { "rr.client": "::1" }), /"::1" is not a cluster id/);
  });
});

describe("path-prepend", () => {
  test("both", () => {
    const { values } = read({ "path-prepend.as": "64512", "path-prepend.repeat-n": "3" });
    assert.deepEqual(values.pathPrepend, { as: 64512, count: 3 });
  });
  test("one alone does nothing and is named", () => {
    assert.match(complaint("path-prepend.as", { "path-prepend.as": "64512" }), /needs .*repeat-n/);
    assert.match(complaint("path-prepend.repeat-n", { "path-prepend.repeat-n": "3" }), /needs/);
  });
  test("repeat-n beyond eight bits", () => {
    const { messages, values } = read({ "path-prepend.as": "1", "path-prepend.repeat-n": "256" });
    assert.match(messages[0]!, /"256" is not a number from 0 to 255/);
    assert.equal(values.pathPrepend, undefined);
  });
});

describe("node.bgp.communities", () => {
  test("number, pair, names; repetitions once", () => {
    const { values } = read({
      "node.bgp.communities": "4228186212, 64512:100,no-export,NO-EXPORT",
    });
    assert.deepEqual(values.communities, [4228186212, 64512 * 65536 + 100, 0xffffff01]);
  });
  test("a wrong one is skipped, the others count", () => {
    const annotations = { "node.bgp.communities": "65536:1,64512:1" };
    assert.match(complaint("node.bgp.communities", annotations), /"65536:1" is not a community/);
    assert.deepEqual(read(annotations).values.communities, [64512 * 65536 + 1]);
  });
  for (const text of ["1:2:3", "a:b", "constructor", "4294967296", ":"]) {
    test(`refused: ${text}`, () => {
      assert.match(
        complaint("node.bgp.communities", { "node.bgp.communities": text }),
        /is not a c/,
      );
    });
  }
  test("too many", () => {
    const text = Array.from({ length: 500 }, (_, i) => `1:${i}`).join(",");
    assert.match(complaint("node.bgp.communities", { "node.bgp.communities": text }), /too many/);
    assert.equal(read({ "node.bgp.communities": text }).values.communities.length, 128);
  });
});

test("customimportreject and bgp-local-addresses", () => {
  const { values, messages } = read({
    "node.bgp.customimportreject": "10.0.0.0/16, fd00::/8,10.0.0.1/33",
    "bgp-local-addresses": "10.1.0.1,fd00::1,x",
  });
  assert.deepEqual(values.importReject, ["10.0.0.0/16", "fd00::/8"]);
  assert.deepEqual(values.localAddresses, ["10.1.0.1", "fd00::1"]);
  assert.equal(messages.length, 2);
});

test("customimportreject refuses the network of an address in it, as kube-router does", () => {
  const text = "10.20.30.40/16,10.20.0.0/16,2001:db8::1/48";
  const { values, messages } = read({ "node.bgp.customimportreject": text });
  assert.deepEqual(values.importReject, ["10.20.0.0/16", "2001:db8::/48"]);
  assert.deepEqual(messages, []);
});

describe("peers", () => {
  test("every field", () => {
    const yaml = `
- remoteip: 10.0.0.1
  remoteasn: 64640
  password: ${PASSWORD_BASE64}
  localip: 192.168.0.1
  port: 1790
  bfd:
    enabled: true
    port: 3785
    detection_multiplier: 5
    required_min_rx_interval: 300
    desired_min_tx_interval: 400
- remoteip: "2001:db8::1"
  remoteasn: "64641"
`;
    const { values, messages } = read({ peers: yaml });
    assert.deepEqual(messages, []);
    assert.deepEqual(values.peers, [
      {
        address: "10.0.0.1",
        as: 64640,
        port: 1790,
        localAddress: "192.168.0.1",
        password: PASSWORD,
        bfd: {
          enabled: true,
          port: 3785,
          detectionMultiplier: 5,
          requiredMinRxMs: 300,
          desiredMinTxMs: 400,
        },
      },
      {
        address: "2001:db8::1",
        as: 64641,
        port: undefined,
        localAddress: undefined,
        password: undefined,
        bfd: undefined,
      },
    ]);
  });

  test("JSON is YAML", () => {
    const { values } = read({ peers: '[{"remoteip":"10.0.0.1","remoteasn":1}]' });
    assert.equal(values.peers[0]!.as, 1);
  });

  const good = "- {remoteip: 10.0.0.9, remoteasn: 64999}\n";
  for (const [entry, expected] of [
    ["- {remoteasn: 1}", /entry 1: remoteip is missing; the entry is left out/],
    ["- {remoteip: 10.0.0.1}", /entry 1: remoteasn is missing/],
    ["- {remoteip: 10.0.0, remoteasn: 1}", /remoteip "10.0.0" is not an IP address/],
    ["- {remoteip: 0.0.0.0, remoteasn: 1}", /"0.0.0.0" is not an IP address that a peer can have/],
    ["- {remoteip: 10.0.0.1, remoteasn: 0}", /remoteasn 0 is not an AS number/],
    ["- {remoteip: 10.0.0.1, remoteasn: 1, port: 0}", /port 0 is not a port/],
    ["- {remoteip: 10.0.0.1, remoteasn: 1, localip: fd00::1}", /different families/],
    ["- 5", /entry 1: is not a mapping/],
  ] as const) {
    test(`a wrong entry is left out, the other stays: ${entry}`, () => {
      const { values, messages } = read({ peers: `${entry}\n${good}` });
      assert.equal(messages.length, 1, messages.join("\n"));
      assert.match(messages[0]!, expected);
      assert.deepEqual(
        values.peers.map((peer) => peer.address),
        ["10.0.0.9"],
      );
    });
  }

  test("a misspelt key is named, the peer counts", () => {
    const { values, messages } = read({
      peers: "- {remoteip: 10.0.0.1, remoteasn: 1, pasword: x}",
    });
    assert.match(messages[0]!, /has no use for "pasword"/);
    assert.equal(values.peers.length, 1);
  });

  test("a wrong password leaves its peer out, and is not repeated", () => {
    const { values, messages } = read({
      peers: `- {remoteip: 10.0.0.1, remoteasn: 1, password: "${PASSWORD}"}`,
    });
    assert.deepEqual(values.peers, []);
    assert.match(messages[0]!, /password is not base64/);
    assert.ok(!messages[0]!.includes(PASSWORD));
  });

  for (const [what, text] of [
    ["broken YAML", `- remoteip: 10.0.0.1\n   password: ${PASSWORD_BASE64}\n  x: [`],
    ["a mapping", `remoteip: 10.0.0.1\npassword: ${PASSWORD_BASE64}`],
    ["an alias", `- &a {remoteip: 10.0.0.1, remoteasn: 1, password: ${PASSWORD_BASE64}}\n- *a`],
    ["repeated keys", `- {remoteip: 10.0.0.1, password: ${PASSWORD_BASE64}, remoteip: 10.0.0.1}`],
  ] as const) {
    test(`${what}: one problem without the text`, () => {
      const { values, messages } = read({ peers: text });
      assert.deepEqual(values.peers, []);
      assert.equal(messages.length, 1);
      assert.ok(!messages[0]!.includes(PASSWORD_BASE64), messages[0]);
    });
  }

  test("a line is named", () => {
    assert.match(complaint("peers", { peers: "- remoteip: a\n- {" }), /line 2, column \d+/);
  });

  test("one address twice: the first counts", () => {
    const { values, messages } = read({
      peers: "[{remoteip: 10.0.0.1, remoteasn: 1}, {remoteip: 10.0.0.1, remoteasn: 2}]",
    });
    assert.deepEqual(
      values.peers.map((peer) => peer.as),
      [1],
    );
    assert.match(messages[0]!, /"10.0.0.1" twice/);
  });
});

describe("peer.* lists", () => {
  test("all of them", () => {
    const { values, messages } = read({
      "peer.ips": "10.0.0.1,10.0.0.2",
      "peer.asns": "64640, 64641",
      "peer.ports": "179,1790",
      "peer.passwords": `${PASSWORD_BASE64},`,
      "peer.localips": ",192.168.0.1",
    });
    assert.deepEqual(messages, []);
    assert.deepEqual(
      values.peers.map(({ address, as, port, password, localAddress }) => [
        address,
        as,
        port,
        password,
        localAddress,
      ]),
      [
        ["10.0.0.1", 64640, 179, PASSWORD, undefined],
        ["10.0.0.2", 64641, 1790, undefined, "192.168.0.1"],
      ],
    );
  });

  test("one without the other is one problem", () => {
    for (const annotations of [
      { "peer.ips": "10.0.0.1" },
      { "peer.asns": "1", "peer.ports": "179" },
    ]) {
      const { values, messages } = read(annotations);
      assert.deepEqual(values.peers, []);
      assert.equal(messages.length, 1, messages.join("\n"));
      assert.match(messages[0]!, /peer\.ips\] and peer\.asns are both needed/);
    }
  });

  test("the YAML form wins", () => {
    const { values } = read({
      peers: "[{remoteip: 10.0.0.9, remoteasn: 9}]",
      "peer.ips": "10.0.0.1",
      "peer.asns": "1",
    });
    assert.deepEqual(
      values.peers.map((peer) => peer.address),
      ["10.0.0.9"],
    );
  });

  for (const [what, annotations, expected] of [
    ["unequal lengths", { "peer.ips": "10.0.0.1,10.0.0.2", "peer.asns": "1" }, /has 1 entries and/],
    ["no AS list", { "peer.ips": "10.0.0.1" }, /peer.asns are both needed|has 0 entries/],
    ["a wrong AS", { "peer.ips": "10.0.0.1", "peer.asns": "x" }, /entry 1 "x" is not an AS/],
    [
      "a wrong password",
      { "peer.ips": "10.0.0.1", "peer.asns": "1", "peer.passwords": PASSWORD },
      /entry 1 is not base64/,
    ],
    [
      "too many ports",
      { "peer.ips": "10.0.0.1", "peer.asns": "1", "peer.ports": "1,2" },
      /has 2 entries/,
    ],
    [
      "a local address of the other family",
      {
        "peer.ips": "10.0.0.1,10.0.0.2",
        "peer.asns": "1,1",
        "peer.localips": ",fd00::1",
      },
      /^[^\n]*peer\.localips[^\n]*entry 2 and that of peer\.ips are of different families[^\n]*$/,
    ],
  ] as const) {
    test(`${what}: all are refused`, () => {
      const { values, messages } = read(annotations);
      assert.deepEqual(values.peers, []);
      assert.match(messages.join("\n"), expected);
      assert.ok(!messages.join("\n").includes(PASSWORD));
    });
  }
});

test("any text in any annotation: no crash, and no password in a problem", () => {
  const names = [
    "node.asn",
    "peers",
    "peer.ips",
    "peer.asns",
    "peer.ports",
    "peer.passwords",
    "peer.localips",
    "rr.server",
    "rr.client",
    "path-prepend.as",
    "path-prepend.repeat-n",
    "node.bgp.communities",
    "node.bgp.customimportreject",
    "bgp-local-addresses",
  ];
  const text = fc.oneof(
    fc.string(),
    fc.string({ unit: "binary" }),
    fc.constantFrom("10.0.0.1", "1,2,3", "- {remoteip: 10.0.0.1, remoteasn: 1}", "- [", "{a: *b}"),
  );
  fc.assert(
    fc.property(fc.dictionary(fc.constantFrom(...names), text), (annotations) => {
      const secret = annotations["peer.passwords"] ?? "";
      for (const message of read(annotations).messages) {
        assert.doesNotMatch(message, /\p{C}/u);
        if (
          secret.length > 4 &&
          !Object.values({ ...annotations, "peer.passwords": "" }).some((value) =>
            value.includes(secret),
          )
        ) {
          assert.ok(!message.includes(secret));
        }
      }
    }),
    { numRuns: 500 },
  );
});

test("of peers that are left out the address is known, where it can be read", () => {
  const leftOut = (annotations: Record<string, string>) => read(annotations).values.peersLeftOut;
  const entries = [
    "{remoteip: 10.0.0.1, remoteasn: 1, password: x}",
    "{remoteip: 10.0.0.2, remoteasn: 1, password: x}",
    "{remoteip: 10.0.0.2, remoteasn: 2}",
    "{remoteip: 10.0.0.x, remoteasn: 1}",
    "{remoteip: 10.0.0.1}",
  ];
  assert.deepEqual(leftOut({ peers: `[${entries.join()}]` }), ["10.0.0.1"]);
  const many = Array.from({ length: 1000 }, (_, i) => `10.0.${i >> 8}.${i & 255}`).join();
  assert.equal(leftOut({ "peer.ips": many, "peer.asns": "1" }).length, 128);
  assert.deepEqual(leftOut({ "peer.ips": "10.0.0.1,x", "peer.asns": "1,1" }), ["10.0.0.1"]);
  assert.deepEqual(leftOut({ "peer.ips": "10.0.0.1", "peer.asns": "1" }), []);
});
