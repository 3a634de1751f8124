/** Calls of the plugin: what is taken, what is refused, and with which code of the specification. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { CONFIG_BYTES_MAX } from "../../../src/cni/plugin/limits.ts";
import { type CallEnvironment, readRequest } from "../../../src/cni/plugin/request.ts";
import {
  CniSpecError,
  errorOutput,
  VERSIONS,
  versionOutput,
} from "../../../src/cni/plugin/spec.ts";
import {
  decodeAnswer,
  decodeCall,
  encodeAnswer,
  encodeCall,
} from "../../../src/cni/plugin/wire.ts";

const ENVIRONMENT: CallEnvironment = {
  CNI_COMMAND: "ADD",
  CNI_CONTAINERID: "0123456789abcdef",
  CNI_NETNS: "/run/netns/cni-1",
  CNI_IFNAME: "eth0",
  CNI_ARGS: "IgnoreUnknown=1;K8S_POD_NAME=web",
  CNI_PATH: "/opt/cni/bin",
};
const CONFIG = { cniVersion: "1.1.0", name: "mynet", type: "podrouter-cni" };

function read(change: CallEnvironment = {}, config: object | string = {}) {
  const text = typeof config === "string" ? config : JSON.stringify({ ...CONFIG, ...config });
  return readRequest({ ...ENVIRONMENT, ...change }, text);
}

function refusal(change: CallEnvironment = {}, config: object | string = {}): [number, string] {
  try {
    read(change, config);
  } catch (error) {
    assert.ok(error instanceof CniSpecError, String(error));
    return [error.code, error.message];
  }
  return assert.fail("it was taken");
}

test("an ADD with all that it may have", () => {
  assert.deepEqual(
    read(
      {},
      {
        mtu: 1450,
        socket: "/run/podrouter/cni.sock",
        leases: "/var/lib/podrouter/pod-leases.json",
        runtimeConfig: { mac: "02:00:00:00:00:AA", ips: ["10.0.0.9/24", "fd00::9"] },
        prevResult: { ips: [{ address: "10.9.0.2/24" }], dns: { domain: "x" } },
      },
    ),
    {
      command: "ADD",
      cniVersion: "1.1.0",
      network: "mynet",
      containerId: "0123456789abcdef",
      interfaceName: "eth0",
      netns: "/run/netns/cni-1",
      mtu: 1450,
      socket: "/run/podrouter/cni.sock",
      leases: "/var/lib/podrouter/pod-leases.json",
      linkAddress: "02:00:00:00:00:aa",
      addresses: ["10.0.0.9", "fd00::9"],
      previous: {
        interfaces: [],
        ips: [{ address: "10.9.0.2/24" }],
        routes: [],
        dns: { domain: "x" },
      },
    },
  );
});

test("DEL comes without a namespace, GC and STATUS without a container", () => {
  const gone = read({ CNI_COMMAND: "DEL", CNI_NETNS: "" });
  assert.ok(gone.command === "DEL" && gone.netns === undefined);
  const none = { CNI_CONTAINERID: undefined, CNI_NETNS: undefined, CNI_IFNAME: undefined };
  assert.equal(read({ ...none, CNI_COMMAND: "STATUS" }).command, "STATUS");
  const attachments = [{ containerID: "a", ifname: "eth0" }];
  const collect = read(
    { ...none, CNI_COMMAND: "GC" },
    { "cni.dev/valid-attachments": attachments },
  );
  assert.ok(collect.command === "GC");
  assert.deepEqual(collect.keep, [{ containerId: "a", interfaceName: "eth0" }]);
});

test("GC of a node without pods: libcni writes its empty list as null", () => {
  const none = { CNI_CONTAINERID: undefined, CNI_NETNS: undefined, CNI_IFNAME: undefined };
  for (const key of ["cni.dev/valid-attachments", "cni.dev/attachments"]) {
    const collect = read({ ...none, CNI_COMMAND: "GC" }, { [key]: null });
    assert.ok(collect.command === "GC");
    assert.deepEqual(collect.keep, []);
  }
});

test("every version has the commands that it came with", () => {
  const spoken = (command: string) =>
    VERSIONS.filter((cniVersion) => {
      const more = { prevResult: {}, "cni.dev/valid-attachments": [] };
      try {
        return read({ CNI_COMMAND: command }, { cniVersion, ...more }) !== undefined;
      } catch (error) {
        assert.equal((error as CniSpecError).code, 1);
        return false;
      }
    });
  assert.deepEqual(spoken("ADD"), VERSIONS);
  assert.deepEqual(spoken("DEL"), VERSIONS);
  assert.deepEqual(spoken("CHECK"), ["0.4.0", "1.0.0", "1.1.0"]);
  assert.deepEqual(spoken("GC"), ["1.1.0"]);
  assert.deepEqual(spoken("STATUS"), ["1.1.0"]);
});

test("what is wrong has the code of the specification, and is named", () => {
  const cases: readonly [CallEnvironment, object | string, number, RegExp][] = [
    [{ CNI_COMMAND: "" }, {}, 4, /CNI_COMMAND is missing/],
    [{ CNI_COMMAND: "UPDATE" }, {}, 4, /CNI_COMMAND is not known/],
    [{ CNI_CONTAINERID: "" }, {}, 4, /CNI_CONTAINERID is missing/],
    [{ CNI_CONTAINERID: "../etc" }, {}, 4, /CNI_CONTAINERID has characters/],
    [{ CNI_CONTAINERID: "a".repeat(129) }, {}, 4, /CNI_CONTAINERID has more than 128 bytes/],
    [{ CNI_IFNAME: undefined }, {}, 4, /CNI_IFNAME is missing/],
    [{ CNI_IFNAME: "a/b" }, {}, 4, /CNI_IFNAME is no interface name/],
    [{ CNI_IFNAME: ".." }, {}, 4, /CNI_IFNAME is no interface name/],
    [{ CNI_IFNAME: "e:0" }, {}, 4, /CNI_IFNAME is no interface name/],
    [{ CNI_IFNAME: "a".repeat(16) }, {}, 4, /CNI_IFNAME has more than 15 bytes/],
    [{ CNI_NETNS: "" }, {}, 4, /CNI_NETNS/],
    [{ CNI_NETNS: "netns/a" }, {}, 4, /CNI_NETNS is no absolute path/],
    [{ CNI_NETNS: "/a\nb" }, {}, 4, /CNI_NETNS is no absolute path/],
    [{ CNI_COMMAND: "DEL", CNI_NETNS: "here" }, {}, 4, /CNI_NETNS is no absolute path/],
    [{ CNI_ARGS: "no-equals-sign" }, {}, 4, /CNI_ARGS/],
    [{ CNI_ARGS: `A=${"b".repeat(9000)}` }, {}, 4, /CNI_ARGS has more than 8192 bytes/],
    [{ CNI_PATH: "/".repeat(20_000) }, {}, 4, /CNI_PATH has more than 16384 bytes/],
    [{}, "{", 6, /not JSON/],
    [{}, "[]", 6, /no.* JSON object/],
    [{}, " ".repeat(CONFIG_BYTES_MAX + 1), 6, /more than 1048576 bytes/],
    [{}, { cniVersion: "0.2.0" }, 1, /"0\.2\.0" is not spoken here/],
    [{}, { cniVersion: undefined }, 1, /none is not spoken/],
    [{}, { name: "" }, 7, /name is no name/],
    [{}, { name: "../x" }, 7, /name is no name/],
    [{}, { mtu: -1 }, 7, /mtu/],
    [{}, { mtu: "1500" }, 7, /mtu/],
    [{}, { socket: "cni.sock" }, 7, /socket is no absolute path/],
    [{}, { runtimeConfig: { mac: "zz" } }, 7, /runtimeConfig\.mac/],
    [{}, { runtimeConfig: { ips: ["a", "b", "c"] } }, 7, /runtimeConfig\.ips/],
    [{}, { prevResult: [] }, 7, /prevResult is no object/],
    [{}, { prevResult: { ips: [1] } }, 7, /prevResult\.ips/],
    [{ CNI_COMMAND: "CHECK" }, {}, 7, /prevResult is missing/],
    [{ CNI_COMMAND: "GC" }, {}, 7, /cni\.dev\/valid-attachments is missing/],
    [{ CNI_COMMAND: "GC" }, { "cni.dev/valid-attachments": {} }, 7, /valid-attachments is no list/],
    [{ CNI_COMMAND: "GC" }, { "cni.dev/valid-attachments": [{}] }, 7, /without containerID/],
  ];
  for (const [environment, config, code, message] of cases) {
    const found = refusal(environment, config);
    assert.equal(found[0], code, found[1]);
    assert.match(found[1], message);
  }
});

test("whatever comes, it is taken or refused with a code, never a crash", () => {
  const text = fc.oneof(fc.string(), fc.string({ unit: "binary" }), fc.json());
  const anything = fc.oneof(fc.jsonValue({ maxDepth: 2 }), fc.string());
  const mostly = <T, U>(usual: fc.Arbitrary<T>, other: fc.Arbitrary<U>) =>
    fc.oneof({ weight: 6, arbitrary: usual }, { weight: 1, arbitrary: other });
  const config = fc.record(
    {
      cniVersion: mostly(fc.constantFrom(...VERSIONS), anything),
      name: mostly(fc.constant("mynet"), anything),
      mtu: mostly(fc.nat(9000), anything),
      socket: mostly(fc.constant("/a"), anything),
      runtimeConfig: mostly(
        fc.constant({ mac: "02:00:00:00:00:01" }),
        fc.oneof(fc.record({ mac: anything, ips: anything }), anything),
      ),
      prevResult: mostly(
        fc.constant({ ips: [] }),
        fc.oneof(fc.record({ ips: anything, interfaces: anything }), anything),
      ),
      "cni.dev/valid-attachments": mostly(fc.constant([]), anything),
    },
    { requiredKeys: ["cniVersion", "name"] },
  );
  const environment = fc.record(
    {
      CNI_COMMAND: mostly(fc.constantFrom("ADD", "DEL", "CHECK", "GC", "STATUS"), text),
      CNI_CONTAINERID: mostly(fc.constant("a1"), text),
      CNI_IFNAME: mostly(fc.constant("eth0"), text),
      CNI_NETNS: mostly(fc.constant("/run/netns/a"), text),
      CNI_ARGS: mostly(fc.constant("A=b"), text),
      CNI_PATH: text,
    },
    { requiredKeys: ["CNI_COMMAND", "CNI_CONTAINERID", "CNI_IFNAME", "CNI_NETNS"] },
  );
  const stdin = fc.oneof(
    text,
    config.map((json) => JSON.stringify(json)),
  );
  let taken = 0;
  fc.assert(
    fc.property(environment, stdin, (given, input) => {
      try {
        const request = readRequest(given, input);
        assert.ok(VERSIONS.includes(request.cniVersion));
        taken++;
      } catch (error) {
        assert.ok(error instanceof CniSpecError, String(error));
        const output = JSON.parse(errorOutput("", error));
        assert.ok([1, 4, 6, 7].includes(output.code));
        // biome-ignore lint/suspicious/noControlCharactersInRegex: there must be none
        assert.doesNotMatch(output.msg, /[\u0000-\u001f]/);
      }
    }),
    { numRuns: 2000 },
  );
  assert.ok(taken > 100, `only ${taken} were taken: the test tests little`);
});

test("VERSION and errors name the version that was asked for", () => {
  assert.equal(
    versionOutput("0.4.0"),
    '{"cniVersion":"0.4.0","supportedVersions":["0.3.0","0.3.1","0.4.0","1.0.0","1.1.0"]}',
  );
  assert.equal(JSON.parse(versionOutput(undefined)).cniVersion, "1.1.0");
  const error = new CniSpecError(11, "later", "why");
  assert.equal(
    errorOutput("0.3.1", error),
    '{"cniVersion":"0.3.1","code":11,"msg":"later","details":"why"}',
  );
});

test("calls and answers come over the wire as they were", () => {
  const call = { environment: { CNI_COMMAND: "ADD", CNI_IFNAME: "eth0" }, config: '{"a":"ü\n"}' };
  assert.deepEqual(decodeCall(encodeCall(call)), call);
  assert.equal(encodeCall(call).indexOf("\n"), encodeCall(call).length - 1);
  const answer = { status: 1 as const, output: "x\ny" };
  assert.deepEqual(decodeAnswer(encodeAnswer(answer)), answer);
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json()), (line) => {
      decodeCall(line);
      decodeAnswer(line);
    }),
  );
});
