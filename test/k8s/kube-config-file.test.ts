/** Kubeconfigs as people write them: what is taken, and as what, is what kubectl takes. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, type TestContext, test } from "node:test";
import { loadKubeAccess } from "../../src/k8s/kube-config.ts";
import { ALIASES_MAX } from "../../src/runtime/yaml.ts";
import { refusal as refusalOf, TOKEN } from "./refused-access.ts";

interface Parts {
  /** What stands before the lists. */
  readonly head?: string;
  readonly clusters?: string;
  readonly users?: string;
  readonly contexts?: string;
}

/** A kubeconfig in YAML, of whose lists the test says what it is about. */
function kubeconfig(t: TestContext, { head = "", ...lists }: Parts): string {
  const folder = mkdtempSync(join(tmpdir(), "podrouter-kubeconfig-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, "kubeconfig");
  const text = [
    head,
    `clusters: ${lists.clusters ?? "[{name: c, cluster: {server: 'https://h:1'}}]"}`,
    `users: ${lists.users ?? "[{name: u, user: {}}]"}`,
    `contexts: ${lists.contexts ?? "[{name: x, context: {cluster: c, user: u}}]"}`,
    "current-context: x\n",
  ];
  writeFileSync(path, text.join("\n"));
  return path;
}

async function optionsOf(t: TestContext, parts: Parts) {
  return loadKubeAccess({ kubeconfig: kubeconfig(t, parts) }).requestOptions();
}

function refusal(t: TestContext, parts: Parts): string {
  const path = kubeconfig(t, parts);
  const prefix = `--kubeconfig ${path}: `;
  const message = refusalOf({ kubeconfig: path });
  assert.ok(message.startsWith(prefix), message);
  return message.slice(prefix.length);
}

describe("merge keys", () => {
  const head = `
common: &common {server: "https://merged:6443", tls-server-name: api.example}
me: &me {token: ${TOKEN}, as: merged}
more: &more {as: second, as-uid: "7"}`;
  const clusters = "[{name: c, cluster: {<<: *common}}]";

  test("bring a server and a token", async (t) => {
    const path = kubeconfig(t, { head, clusters, users: "[{name: u, user: {<<: *me}}]" });
    const access = loadKubeAccess({ kubeconfig: path });
    assert.equal(access.server.host, "merged:6443");
    const { headers, servername } = await access.requestOptions();
    assert.equal(servername, "api.example");
    assert.deepEqual(headers, {
      Authorization: `Bearer ${TOKEN}`,
      "Impersonate-User": ["merged"],
    });
  });

  test("give way to what stands there itself, and to those before them", async (t) => {
    const own = await optionsOf(t, { head, users: "[{name: u, user: {<<: *me, as: own}}]" });
    assert.deepEqual(own.headers, {
      Authorization: `Bearer ${TOKEN}`,
      "Impersonate-User": ["own"],
    });
    const both = await optionsOf(t, { head, users: "[{name: u, user: {<<: [*me, *more]}}]" });
    assert.deepEqual(both.headers, {
      Authorization: `Bearer ${TOKEN}`,
      "Impersonate-User": ["merged"],
      "Impersonate-Uid": ["7"],
    });
  });

  test("change nothing else: what is text in YAML 1.2 stays text", async (t) => {
    const options = await optionsOf(t, { users: "[{name: u, user: {token: yes}}]" });
    assert.deepEqual(options.headers, { Authorization: "Bearer yes" });
    const quoted = await optionsOf(t, { head, users: '[{name: u, user: {"<<": *me}}]' });
    assert.deepEqual(quoted.headers, {});
  });

  const uses = (count: number, name: string) => Array(count).fill(`*${name}`).join(", ");
  const levels = (open: string, close: string) =>
    Array.from(
      { length: 30 },
      (_, i) => `l${i + 1}: &l${i + 1} ${open}${uses(9, `l${i}`)}${close}`,
    ).join("\n");
  for (const [what, more] of [
    ["with a number", "n: {<<: 5}"],
    ["with text", `n: {<<: ${TOKEN}}`],
    ["of an anchor that is not there", `n: {<<: *${TOKEN}}`],
    ["of itself", "n: &n {<<: *n}"],
    ["too often", `l0: &l0 {a: 1}\nn: [${uses(ALIASES_MAX + 1, "l0")}]`],
    ["of merge keys of merge keys …", `l0: &l0 {a: 1}\n${levels("{<<: [", "]}")}`],
    ["of aliases of aliases …", `l0: &l0 [1]\n${levels("[", "]")}`],
  ] as const) {
    test(`${what}: refused at once`, (t) => {
      assert.match(
        refusal(t, { head: more }),
        /^is not YAML: an alias .*, a merge key \(<<\) with what is no mapping, or /,
      );
    });
  }
});

describe("two of one name are refused, as by kubectl", () => {
  for (const [list, parts] of [
    ["clusters", { clusters: "[{name: c, cluster: {server: a}}, {name: c, cluster: {}}]" }],
    ["users", { users: "[{name: c, user: {token: a}}, {name: c}]" }],
    ["contexts", { contexts: "[{name: c, context: {}}, {name: c}]" }],
  ] as const) {
    test(list, (t) => assert.equal(refusal(t, parts), `${list}[1].name "c" is there already`));
  }
});

describe("what the current context does not name need not be whole", () => {
  test("clusters, users and contexts with nothing in them", async (t) => {
    const { headers } = await optionsOf(t, {
      clusters:
        "[{name: d}, {name: e, cluster: {server: ''}}, {name: c, cluster: {server: 'https://h:1'}}]",
      users: "[{name: v}, {name: w, user: null}, {name: u, user: {token: t}}]",
      contexts:
        "[{name: a}, {name: b, context: {cluster: '', user: ''}}, {name: x, context: {cluster: c, user: u}}]",
    });
    assert.deepEqual(headers, { Authorization: "Bearer t" });
  });

  test("a field that kubectl has not is not read, nor the file that it names", async (t) => {
    const users =
      "[{name: v, user: {token-file: /dev/zero}}, {name: u, user: {token-file: /gone}}]";
    assert.deepEqual((await optionsOf(t, { users })).headers, {});
  });

  test("but its fields are of the right kind", (t) => {
    const other = "{name: u, user: {}}";
    for (const [parts, problem] of [
      [
        { users: `[${other}, {name: v, user: {token: {${TOKEN}: 1}}}]` },
        "users[1].user.token is not text",
      ],
      [
        { users: `[${other}, {name: v, user: {tokenFile: [a]}}]` },
        "users[1].user.tokenFile is not text",
      ],
      [{ users: `[${other}, {name: v, user: ${TOKEN}}]` }, "users[1].user is not a mapping"],
      [{ users: `[${other}, ${TOKEN}]` }, "users[1] is not a mapping"],
      [{ users: `[${other}, {user: {}}]` }, "users[1].name is missing"],
      [{ users: `[${other}, {name: 5}]` }, "users[1].name is not text"],
      [{ users: TOKEN }, "users is not a list"],
      [
        { contexts: "[{name: x, context: {cluster: 5}}]" },
        "contexts[0].context.cluster is not text",
      ],
      [{ contexts: "[{name: x, context: {user: u}}]" }, "contexts[0].context.cluster is missing"],
    ] as const) {
      assert.equal(refusal(t, parts), problem);
    }
  });
});

test("text and null where nothing stands mean nothing", async (t) => {
  const cluster =
    "{server: 'https://h:1', proxy-url: '', tls-server-name: null, certificate-authority: ''}";
  const { headers, agent, timeout } = await optionsOf(t, {
    clusters: `[{name: c, cluster: ${cluster}}]`,
    users: "[{name: u, user: {tokenFile: '', token: t, exec: null, client-key: null}}]",
  });
  assert.deepEqual(
    [headers, agent, timeout],
    [{ Authorization: "Bearer t" }, undefined, undefined],
  );
  const nulls = await optionsOf(t, { users: "[{name: u, user: {tokenFile: null, token: t}}]" });
  assert.deepEqual(nulls.headers, { Authorization: "Bearer t" });
});

test("a user name without a password has an empty one", async (t) => {
  const { auth } = await optionsOf(t, { users: "[{name: u, user: {username: me}}]" });
  assert.equal(auth, "me:");
});

test("true and false, and base64, are nothing else", (t) => {
  const cluster = (field: string) => ({
    clusters: `[{name: c, cluster: {server: 'https://h:1', ${field}}}]`,
  });
  for (const word of ["yes", '"true"', "1"]) {
    assert.equal(
      refusal(t, cluster(`insecure-skip-tls-verify: ${word}`)),
      "clusters[0].cluster.insecure-skip-tls-verify is neither true nor false",
    );
  }
  for (const data of ["-----BEGIN", "QUJ", "QUI", "Q===", "QUJD!"]) {
    assert.equal(
      refusal(t, cluster(`certificate-authority-data: "${data}"`)),
      "clusters[0].cluster.certificate-authority-data is not base64",
    );
  }
});

test("base64 may be in several lines", async (t) => {
  const data = '"QUJD\\nQUI=\\n"';
  const options = await optionsOf(t, {
    clusters: `[{name: c, cluster: {server: 'https://h:1', certificate-authority-data: ${data}}}]`,
  });
  assert.equal(String(options.ca), "ABCAB");
});

test("JSON is YAML, indented with tabs too; nesting without end is not", (t) => {
  const config = {
    clusters: [{ name: "c", cluster: { server: "https://h:1" } }],
    contexts: [{ name: "x", context: { cluster: "c" } }],
    "current-context": "x",
  };
  const path = kubeconfig(t, {});
  writeFileSync(path, JSON.stringify(config, undefined, "\t"));
  assert.equal(loadKubeAccess({ kubeconfig: path }).server.host, "h:1");
  for (const [head, problem] of [
    ["a: 1\na: 2", /^is not YAML: line 2, column 1 \(DUPLICATE_KEY\)$/],
    [`a: ${"[".repeat(20_000)}`, /^is not YAML/],
  ] as const) {
    assert.match(refusal(t, { head }), problem);
  }
});

describe("what could do no good is refused at the start", () => {
  const cluster = (field: string) => ({
    clusters: `[{name: c, cluster: {server: 'https://h:1', ${field}}}]`,
  });
  const user = (fields: string) => ({ users: `[{name: u, user: {${fields}}}]` });
  for (const [what, parts, problem] of [
    [
      "a proxy without a scheme",
      cluster("proxy-url: '192.168.50.9:3128'"),
      'clusters[0].cluster.proxy-url "192.168.50.9:3128" is not an http, https or socks5 URL',
    ],
    [
      "a proxy of another scheme, without its password",
      cluster(`proxy-url: 'ftp://me:${TOKEN}@h:3128'`),
      'clusters[0].cluster.proxy-url "…@h:3128" is not an http, https or socks5 URL',
    ],
    [
      "a certificate without a key",
      user("client-certificate: c.pem"),
      "users[0].user has a client certificate without its key",
    ],
    [
      "an auth provider that nobody knows",
      user("auth-provider: {name: openstack}"),
      'its user "u": auth-provider "openstack" is none of azure, exec, gcp and oidc',
    ],
    [
      "an auth provider that is none",
      user(`auth-provider: ${TOKEN}`),
      "users[0].user.auth-provider is not a mapping",
    ],
    [
      "a plugin that is to be told of the cluster, perhaps",
      user("exec: {command: c, provideClusterInfo: yes}"),
      'its user "u": exec.provideClusterInfo is neither true nor false',
    ],
  ] as const) {
    test(what, (t) => assert.equal(refusal(t, parts), problem));
  }

  test("but a proxy that kubectl knows is taken", async (t) => {
    for (const url of ["http://h:1", "https://me:x@h:1", "socks5://h:1", "HTTP://h:1"]) {
      const { agent } = await optionsOf(t, cluster(`proxy-url: '${url}'`));
      assert.ok(agent !== undefined, url);
    }
    // The library would take one written large for a proxy of HTTP.
    for (const url of ["socks5://h:1", "SOCKS5://h:1"]) {
      const { agent } = await optionsOf(t, cluster(`proxy-url: '${url}'`));
      assert.equal(agent?.constructor.name, "SocksProxyAgent", url);
    }
  });
});
