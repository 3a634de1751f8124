/** Anchors and merge keys: they mean the same in each file that is YAML, and blow up none. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { LineCounter } from "yaml";
import { parseConfigFile } from "../../src/agent/config-file/parse.ts";
import { parseNodesFile } from "../../src/k8s/nodes-file.ts";
import { ALIASES_MAX, ANCHORS_MAX, yamlDocument } from "../../src/runtime/yaml.ts";
import { threadCpuMs } from "../support/yardstick.ts";

const list = (count: number, name: string) => Array(count).fill(`*${name}`).join(", ");
/** Each level nine times the one before. */
const bomb = (open: string, close: string) =>
  Array.from(
    { length: 30 },
    (_, i) => `l${i + 1}: &l${i + 1} ${open}${list(9, `l${i}`)}${close}`,
  ).join("\n");

/** So many anchors and aliases, each anchor used 49 times. */
const anchored = (count: number) =>
  Array.from({ length: count }, (_, i) => (i % 50 === 0 ? `- &a${i} {}` : `- *a${i - (i % 50)}`));

const REFUSED = [
  ["a merge key of a number", "n: { <<: 5 }"],
  ["a merge key of itself", "n: &n { <<: *n }"],
  ["merge keys of merge keys", `l0: &l0 { a: 1 }\n${bomb("{ <<: [", "] }")}`],
  ["aliases of aliases", `l0: &l0 [1]\n${bomb("[", "]")}`],
  ["anchors without end", `n:\n${anchored(ANCHORS_MAX + 1).join("\n")}`],
  ["an anchor used too often", `l0: &l0 { a: 1 }\nn: [${list(ALIASES_MAX + 1, "l0")}]`],
] as const;

describe("the configuration file", () => {
  test("a merge key brings what the entry has not itself", () => {
    const read = parseConfigFile(
      `peers:
  - &tor { name: tor1, address: 192.0.2.1, remoteAs: 65001, holdTime: 9s }
  - { <<: *tor, name: tor2, address: 192.0.2.2 }
  - { name: tor3, address: 192.0.2.3, <<: [*tor, { port: 1179 }] }
`,
      "bgp.yaml",
    );
    assert.ok(read.ok, JSON.stringify(read));
    const peers = read.file.peers.map(({ name, address, port, remoteAs, holdTime }) => {
      return [name, address, port, remoteAs, holdTime];
    });
    assert.deepEqual(peers, [
      ["tor1", "192.0.2.1", undefined, 65001, 9],
      ["tor2", "192.0.2.2", undefined, 65001, 9],
      ["tor3", "192.0.2.3", 1179, 65001, 9],
    ]);
  });

  test("what is wrong with what it brings is said, with a line", () => {
    const text = `peers:
  - &tor { name: tor1, address: 192.0.2.1, remoteAs: 65001 }
  - { <<: [*tor, { holdtime: 9s }], address: 192.0.2.2 }
`;
    const read = parseConfigFile(text, "bgp.yaml");
    assert.ok(!read.ok);
    const [first] = read.problems;
    assert.match(first!, /^bgp\.yaml:3: peers\[1\]\.holdtime: is not a key that is known here/);
  });

  for (const [what, text] of REFUSED) {
    test(`refused: ${what}`, () => {
      const read = parseConfigFile(text, "bgp.yaml");
      assert.ok(!read.ok);
      const { problems } = read;
      assert.equal(problems.length, 1);
      assert.match(problems[0]!, /^bgp\.yaml:1: [^\n]*([Aa]lias|Merge sources must be maps)/);
    });
  }
});

describe("the nodes file", () => {
  test("a merge key brings what the Node has not itself", () => {
    const read = parseNodesFile(`kind: List
items:
  - &n1 { kind: Node, metadata: { name: a }, spec: { podCIDRs: [10.1.0.0/24] } }
  - { <<: *n1, metadata: { name: b } }
`);
    assert.ok("nodes" in read, JSON.stringify(read));
    const spec = { podCIDRs: ["10.1.0.0/24"] };
    assert.deepEqual(read.nodes, [
      { kind: "Node", metadata: { name: "a" }, spec },
      { kind: "Node", metadata: { name: "b" }, spec },
    ]);
  });

  test("as many anchors and aliases as there may be are read, in several documents too", () => {
    const halves = anchored(ANCHORS_MAX).map((line) => line.replace(/[{]}$/, "{ kind: Node }"));
    const half = (lines: readonly string[]) => `kind: List\nitems:\n${lines.join("\n")}\n`;
    const middle = ANCHORS_MAX / 2;
    const [first, second] = [halves.slice(0, middle), halves.slice(middle)];
    const read = parseNodesFile(`${half(first)}---\n${half(second)}`);
    assert.ok("nodes" in read, JSON.stringify(read));
    assert.equal(read.nodes.length, ANCHORS_MAX);
    const more = parseNodesFile(`${half(first)}---\n${half([...second, "- &more {}"])}`);
    assert.ok("problem" in more);
  });

  for (const [what, text] of REFUSED) {
    test(`refused: ${what}`, () => {
      const read = parseNodesFile(`kind: List\nitems: []\n${text}\n`);
      assert.ok("problem" in read);
      assert.match(read.problem, /^not YAML: an alias that names nothing or itself, .*\(<<\)/);
    });
  }
});

describe("keys of a mapping", () => {
  const codes = (text: string) => {
    const lines = new LineCounter();
    const found = yamlDocument(text, lines).errors;
    return found.map(({ code, pos }) => `${code} ${lines.linePos(pos[0]).line}`);
  };

  test("one that is there already is an error at its place, however it is written", () => {
    for (const text of ["a: 1\na: 2", 'a: 1\n"a": 2', "{ a: 1,\n a: 2 }", "a: 1\n!!str a: 2"]) {
      assert.deepEqual(codes(text), ["DUPLICATE_KEY 2"], text);
    }
    assert.deepEqual(codes("b:\n  a: 1\nc: &c\n  a: 1\n  1: 1\n  '1': 1\nd: *c"), []);
  });

  test("errors stand in the order of their lines", () => {
    assert.deepEqual(codes("a: 1\na: 2\nb: 'x\n"), ["DUPLICATE_KEY 2", "MISSING_CHAR 4"]);
  });

  test("very many take no longer each than few", () => {
    const keys = Array.from({ length: 60_000 }, (_, i) => `k${i}: 1`);
    const took = threadCpuMs(() => assert.deepEqual(codes(keys.join("\n")), []));
    // Each compared with all before it: half a minute.
    assert.ok(took < 5000, `${took} ms`);
  });
});
