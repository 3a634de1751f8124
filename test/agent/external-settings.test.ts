/** The flags of peers outside the cluster: lists in step, and passwords from a file. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { configure } from "../../src/agent/config.ts";
import { withPasswords } from "../../src/agent/external-settings.ts";
import { type IpAddress, parseAddress } from "../../src/ip/address.ts";

const HERE = { nodeName: undefined, hostName: "node1", inCluster: false } as const;

test("peers outside the cluster: parallel lists that must be in step", () => {
  const external = (flags: Record<string, string>) => {
    const configured = configure(new Map(Object.entries(flags)), HERE);
    return configured.ok ? configured.value.bgp.external : configured.problems;
  };
  const two = { "peer-router-ips": "192.0.2.1, 2001:db8::1", "peer-router-asns": "65001,65002" };
  assert.deepEqual(external({ ...two, "peer-router-multihop-ttl": "3" }), {
    peers: [
      {
        address: "192.0.2.1",
        as: 65001,
        port: undefined,
        localAddress: undefined,
        password: undefined,
      },
      {
        address: "2001:db8::1",
        as: 65002,
        port: undefined,
        localAddress: undefined,
        password: undefined,
      },
    ],
    multihopTtl: 3,
    passwordsFile: undefined,
  });
  const wrong: readonly (readonly [Record<string, string>, RegExp])[] = [
    [
      { "peer-router-ips": "192.0.2.1" },
      /--peer-router-asns: expected 1 entry, one for each of --peer-router-ips, not 0/,
    ],
    [{ ...two, "peer-router-ports": "179" }, /--peer-router-ports: expected 2 entries/],
    [{ ...two, "peer-router-asns": "65001,0" }, /--peer-router-asns: "0" is no AS number/],
    [
      { "peer-router-ips": "x", "peer-router-asns": "1" },
      /--peer-router-ips: "x" is no IP address/,
    ],
    [
      { "peer-router-ips": "224.0.0.1", "peer-router-asns": "1" },
      /--peer-router-ips: "224\.0\.0\.1" is no IP address that a peer can have/,
    ],
    [
      { "peer-router-ips": "192.0.2.1,192.0.2.2,192.0.2.2", "peer-router-asns": "1,2,3" },
      /--peer-router-ips: expected each address once, 192\.0\.2\.2 is there again/,
    ],
  ];
  for (const [flags, expected] of wrong) {
    const said = external(flags);
    assert.ok(Array.isArray(said) && said.some((line) => expected.test(line)), String(said));
    assert.equal(said.length, 1, "one mistake, one sentence");
  }
});

test("passwords of the flags' peers are base64, in step, and never repeated", () => {
  const peers = ["192.0.2.1", "192.0.2.2"].map((text) => ({
    address: parseAddress(text) as IpAddress,
    as: 1,
    port: undefined,
    localAddress: undefined,
    password: undefined,
  }));
  const given = withPasswords(peers, "c2VjcmV0,\n", "file");
  assert.ok(typeof given !== "string");
  assert.deepEqual(
    given.map((peer) => peer.password),
    ["secret", undefined],
  );
  assert.equal(
    withPasswords(peers, "c2VjcmV0", "file"),
    "file: expected 2 passwords, one for each peer, not 1",
  );
  // Else an only peer would be without one from then on.
  assert.equal(withPasswords(peers.slice(0, 1), "\n", "file"), "file: is empty");
  const wrong = withPasswords(peers, "hunter2!,x", "file");
  assert.ok(typeof wrong === "string" && !wrong.includes("hunter2"));
});
