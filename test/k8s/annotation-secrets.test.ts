/** What of kube-router.io/peers is repeated: never what may be a password, however it is written. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { readNodeAnnotations } from "../../src/k8s/annotations.ts";
import { processWarnings } from "../support/process-warnings.ts";

const PASSWORD = Buffer.from("hunter2!").toString("base64");

function problems(peers: string): readonly string[] {
  const read = readNodeAnnotations("node1", new Map([["peers", peers]]));
  return read.problems.map(({ message }) => message);
}

test("nothing is said past the log", async (t) => {
  const text = `- ? { password: ${PASSWORD} }\n  : 1\n- !x 1\n`;
  assert.deepEqual(await processWarnings(t, () => problems(text)), []);
});

test("a password is no part of a key: in a mapping as one, or with no space or colon before it", () => {
  const entry = "remoteip: 192.0.2.1, remoteasn: 1";
  const known = "(known: remoteip, remoteasn, localip, password, port, bfd)";
  for (const [yaml, key] of [
    [`- ? { password: ${PASSWORD} }\n  : 1\n`, "{…"],
    [`- { ${entry}, password:${PASSWORD} }\n`, "password:…"],
    [`- { ${entry}, password=${PASSWORD} }\n`, "password=…"],
    [`- { ${entry}, password ${PASSWORD} }\n`, "password …"],
    [`- { ${entry}, ${PASSWORD} }\n`, "…"],
    [`- remoteip: 192.0.2.1\n  remoteasn: 1\n  ? ${PASSWORD}\n`, "…"],
  ] as const) {
    const said = problems(yaml);
    assert.ok(said[0]!.endsWith(` entry 1: has no use for "${key}" ${known}`), said[0]);
    assert.ok(!said.join().includes(PASSWORD));
  }
});

test("a password is no part of another value, where what is between them was forgotten", () => {
  for (const [yaml, value] of [
    [`- remoteip: 192.0.2.1 password=${PASSWORD}\n`, "192.0.2.1 password…"],
    [`- remoteip: 192.0.2.1\n    Passwd ${PASSWORD}\n`, "192.0.2.1 Passwd…"],
  ] as const) {
    const said = problems(yaml);
    assert.ok(said[0]!.includes(` entry 1: remoteip "${value}" is not an IP address`), said[0]);
    assert.ok(!said.join().includes(PASSWORD));
  }
});
