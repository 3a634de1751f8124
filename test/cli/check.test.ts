/** `podrouter check`: what it accepts and refuses, and that it is what the agent does. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { BgpFiles } from "../../src/agent/bgp-files.ts";
import { configure } from "../../src/agent/config.ts";
import { CONFIG_BYTES_MAX } from "../../src/agent/config-file/schema.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { recordingLog } from "../support/recording-log.ts";
import { runCli } from "../support/run-cli.ts";

const folder = mkdtempSync(join(tmpdir(), "podrouter-check-"));
after(() => rmSync(folder, { recursive: true }));
const FILE = join(folder, "bgp.yaml");
const KEY = join(folder, "tor.key");
const NONE = join(folder, "none.key");
const EXAMPLE = join(import.meta.dirname, "../../deploy/bgp-config/bgp.yaml");

const peer = (rest: string) => `{ name: tor, address: 192.0.2.254, remoteAs: 65001${rest} }`;
const withKey = (path: string) => `peers: [${peer(`, passwordFile: ${path}`)}]\n`;

/** Exit code and lines, each without the program's name. */
async function check(text: string, args: readonly string[] = ["--in-cluster"]) {
  writeFileSync(FILE, text);
  const { code, stdout, stderr } = await runCli(["check", `--config=${FILE}`, ...args]);
  const lines = `${stdout}${stderr}`.trimEnd().split("\n");
  return { code, lines: lines.map((line) => line.replace("podrouter: ", "")) };
}

test("a good file: one line, with what is in it", async () => {
  assert.deepEqual(await check(`peers: [${peer("")}]\npolicies: [{ name: a, default: accept }]`), {
    code: 0,
    lines: [`the flags and ${FILE} are good: 1 peer, 1 policy, 0 networks`],
  });
  assert.deepEqual(await check("{}"), {
    code: 0,
    lines: [`the flags and ${FILE} are good: 0 peers, 0 policies, 0 networks`],
  });
  const flags = await runCli(["check", "--bgp-port=1179"]);
  assert.deepEqual([flags.code, flags.stdout], [0, "podrouter: the flags are good\n"]);
});

test("every fault of the file is said, with its line", async () => {
  const { code, lines } = await check(
    ["peers:", `  - ${peer(", port: 70000")}`, `  - ${peer(", group: tors, import: x")}`].join(
      "\n",
    ),
  );
  assert.equal(code, 1);
  assert.deepEqual(lines, [
    `${FILE}:2: peers[0].port: expected a whole number from 1 to 65535, not 70000`,
  ]);
  const both = await check(`peers:\n  - ${peer("")}\n  - ${peer(", group: tors, import: x")}`);
  assert.deepEqual(both, {
    code: 1,
    lines: [
      `${FILE}:3: peers[1].name: tor is there already`,
      `${FILE}:3: peers[1].address: 192.0.2.254 is the address of peer tor too`,
      `${FILE}:3: peers[1].group: no peer group is called tors`,
      `${FILE}:3: peers[1].import: no policy is called x`,
    ],
  });
  for (const [text, line] of [
    ["peers: [", /^.*bgp\.yaml:1: /],
    ["a: 1\na: 2", /^.*bgp\.yaml:2: /],
    ["global:\n  asn: 1", /^.*bgp\.yaml:\d: .*asn/],
    ["{}\n---\n{}", /^.*bgp\.yaml:2: expected one document/],
    [" \n", /^.*bgp\.yaml:1: is empty; \{\} is a file that asks for nothing$/],
    [" ".repeat(CONFIG_BYTES_MAX + 1), /^.*bgp\.yaml: the file is too large$/],
  ] as const) {
    const refused = await check(text);
    assert.equal(refused.code, 1, text.slice(0, 20));
    assert.match(refused.lines.join("\n"), line);
  }
  rmSync(FILE);
  const gone = await runCli(["check", `--config=${FILE}`, "--in-cluster"]);
  assert.deepEqual([gone.code, gone.stderr], [1, `podrouter: ${FILE}: no such file\n`]);
});

test("the router id is needed where no Node gives one, as by the agent", async () => {
  const needed = await check("{}", []);
  assert.equal(needed.code, 1);
  assert.match(needed.lines.join(), /global\.routerId: is needed without Kubernetes/);
  for (const args of [["--in-cluster"], ["--router-id=192.0.2.1"], ["--kubeconfig=/none"]]) {
    assert.equal((await check("{}", args)).code, 0, args.join());
  }
});

test("files of passwords, of the file and of the flags", async () => {
  writeFileSync(KEY, "secret\n");
  assert.equal((await check(withKey(KEY))).code, 0);
  writeFileSync(KEY, "");
  assert.deepEqual(await check(withKey(KEY)), {
    code: 1,
    lines: [`peer tor is left out: ${KEY}: a password has 1 to 80 bytes, not 0`],
  });
  assert.deepEqual((await check(withKey(NONE))).lines, [
    `peer tor is left out: ${NONE}: no such file`,
  ]);
  assert.equal((await check(withKey(NONE), ["--in-cluster", "--without-passwords"])).code, 0);
  const flags = ["--in-cluster", "--peer-router-ips=192.0.2.1", "--peer-router-asns=65001"];
  const passwords = (path: string) => [...flags, `--peer-router-passwords-file=${path}`];
  writeFileSync(KEY, "c2VjcmV0,c2VjcmV0");
  const counted = `${KEY}: expected 1 passwords, one for each peer, not 2`;
  assert.deepEqual(await check(withKey(NONE), passwords(KEY)), {
    code: 1,
    lines: [counted, `peer tor is left out: ${NONE}: no such file`],
  });
  assert.equal((await check("{}", [...passwords(NONE), "--without-passwords"])).code, 0);
});

test("a password in the place of its file's path is not repeated, a path is", async () => {
  const none = (text: string) => ({ code: 1, lines: [`peer tor is left out: ${text}`] });
  for (const password of ["s3cret", "czNjcmV0", "s3/cret", `"s3cret\\0"`, "s3cret".repeat(100)]) {
    const { code, lines } = await check(withKey(password));
    assert.equal(code, 1);
    assert.equal(lines.length, 1);
    assert.match(
      lines[0]!,
      /^peer tor is left out: the file that passwordFile names: [^s]*(no such file|E[A-Z_]+)$/,
    );
  }
  for (const path of ["/none/tor.key", "./none/tor.key", "../none.key"]) {
    assert.deepEqual(await check(withKey(path)), none(`${path}: no such file`));
  }
  // What is there is a path.
  assert.deepEqual(await check(withKey("src")), none("src: is a directory"));
  const flags = ["--in-cluster", "--peer-router-ips=192.0.2.1", "--peer-router-asns=65001"];
  assert.deepEqual(await check("{}", [...flags, "--peer-router-passwords-file=czNjcmV0"]), {
    code: 1,
    lines: ["the file that --peer-router-passwords-file names: no such file"],
  });
});

test("wrong flags come first, with the exit code of the command line", async () => {
  const { code, lines } = await check("peers: [", ["--bgp-port=0", "--router-id=x"]);
  assert.equal(code, 2);
  assert.equal(lines.length, 2);
  assert.match(lines.join("\n"), /^--bgp-port=0: expected .*\n--router-id=x: expected/);
  assert.equal((await check("{}", ["--no-such-flag"])).code, 2);
  const bfd = await check("{}", ["--bfd-enabled"]);
  assert.deepEqual(bfd, {
    code: 2,
    lines: ["--bfd-enabled is not a flag here: podrouter has no BFD"],
  });
});

test("the file comes through a pipe with -", async () => {
  const piped = (stdin?: string) =>
    runCli(["check", "--in-cluster", "--config=-"], stdin === undefined ? {} : { stdin });
  const good = await piped(`peers: [${peer("")}]`);
  assert.equal(
    good.stdout,
    "podrouter: the flags and standard input are good: 1 peer, 0 policies, 0 networks\n",
  );
  const wrong = await piped("global: 1\n");
  assert.equal(wrong.code, 1);
  assert.match(wrong.stderr, /^podrouter: standard input:1: global: /);
  assert.match((await piped("")).stderr, /^podrouter: standard input:1: is empty/);
  assert.match((await piped()).stderr, /^podrouter: standard input:1: is empty/);
  const large = await piped("é".repeat(CONFIG_BYTES_MAX / 2 + 1));
  assert.equal(large.stderr, "podrouter: standard input: the file is too large\n");
});

test("what it refuses the agent refuses at its start, in the same words", async () => {
  const texts = [
    ...[
      readFileSync(EXAMPLE, "utf8"),
      "{}",
      "peers: [",
      "peers: 1",
      "global: { as: 0 }",
      `networks: [{ prefix: x }]`,
    ],
    `peers: [${peer("")}, ${peer("")}]`,
    withKey("/none"),
  ];
  const surroundings = { nodeName: "node1", hostName: "", inCluster: true };
  for (const text of texts) {
    const { code, lines } = await check(text, ["--in-cluster", "--without-passwords"]);
    const configured = configure(new Map([["config", FILE]]), surroundings);
    assert.ok(configured.ok);
    const deps = { clock: new FakeClock(), log: recordingLog().log };
    const files = new BgpFiles(configured.value, deps, () => undefined);
    const refused = await files.start().then(
      () => undefined,
      (error: Error) => error.message,
    );
    files.stop();
    assert.equal(code === 0 ? undefined : lines.join("\n"), refused, text);
  }
});
