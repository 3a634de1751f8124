/** Whom a kubeconfig asks to be taken for: the headers as they arrive, and what is refused. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { HttpApiTransport } from "../../src/k8s/http-transport.ts";
import { impersonationHeaders } from "../../src/k8s/impersonation.ts";
import { KubeConfigError, loadKubeAccess } from "../../src/k8s/kube-config.ts";
import { IMPERSONATION_BYTES_MAX } from "../../src/k8s/limits.ts";

const TLS = join(import.meta.dirname, "..", "fixtures", "tls");

function kubeconfig(t: TestContext, user: object, server = "https://127.0.0.1:1"): string {
  const folder = mkdtempSync(join(tmpdir(), "podrouter-impersonation-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, "kubeconfig");
  const users = [
    { name: "other", user: { as: "nobody", "as-groups": ["none"] } },
    { name: "u", user },
  ];
  const config = {
    clusters: [{ name: "c", cluster: { server, "certificate-authority": join(TLS, "ca.pem") } }],
    users,
    contexts: [{ name: "x", context: { cluster: "c", user: "u" } }],
    "current-context": "x",
  };
  writeFileSync(path, JSON.stringify(config));
  return path;
}

/** Fields of a request that say whom it is to be taken for, as UTF-8, in the order of their names. */
async function asked(t: TestContext, user: object): Promise<readonly string[]> {
  const [cert, key] = ["server.pem", "server-key.pem"].map((name) => readFileSync(join(TLS, name)));
  const server = createServer({ cert, key }, (_, response) => response.end("{}"));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const access = loadKubeAccess({ kubeconfig: kubeconfig(t, user, `https://127.0.0.1:${port}`) });
  const transport = new HttpApiTransport(access);
  const seen: string[] = [];
  server.on("request", ({ rawHeaders: raw }) => {
    for (let i = 0; i < raw.length; i += 2) seen.push(`${raw[i]}: ${raw[i + 1]}`);
  });
  await new Promise<void>((resolve, reject) => {
    const handlers = { open: () => {}, data: () => {}, end: resolve, failed: reject };
    transport.get("/api/v1/nodes", handlers);
  });
  transport.reset();
  server.close();
  const fields = seen.filter((field) => /^(impersonate|authorization)/i.test(field)).sort();
  return fields.map((field) => Buffer.from(field, "latin1").toString("utf8"));
}

test("user, uid, groups and extra go as headers, as kubectl sends them", async (t) => {
  const user = {
    token: "t0",
    as: "jürgen",
    "as-uid": "06f6ce97",
    "as-groups": ["system:masters", "a, b"],
    "as-user-extra": {
      "Acme.com/Project": ["one", "two"],
      "acme.com/project": ["three"],
      "ü%": ["é"],
      none: [],
    },
  };
  assert.deepEqual(await asked(t, user), [
    "Authorization: Bearer t0",
    "Impersonate-Extra-%c3%bc%25: é",
    "Impersonate-Extra-acme.com%2fproject: one",
    "Impersonate-Extra-acme.com%2fproject: three",
    "Impersonate-Extra-acme.com%2fproject: two",
    "Impersonate-Group: a, b",
    "Impersonate-Group: system:masters",
    "Impersonate-Uid: 06f6ce97",
    "Impersonate-User: jürgen",
  ]);
  assert.deepEqual(await asked(t, { as: "x" }), ["Impersonate-User: x"]);
  assert.deepEqual(await asked(t, { as: "", "as-groups": null, "as-user-extra": {} }), []);
});

test("what cannot be sent is refused at the start, with the field and without its value", (t) => {
  const more = `whom it is taken for is more than ${IMPERSONATION_BYTES_MAX} bytes`;
  for (const [user, problem] of [
    [{ "as-groups": ["s3cret"] }, "as-uid, as-groups and as-user-extra need as"],
    [{ "as-uid": "s3cret" }, "as-uid, as-groups and as-user-extra need as"],
    [{ as: ["s3cret"], "as-uid": "1" }, "as is not text"],
    [{ as: 5 }, "as is not text"],
    [{ as: "a\r\nX: s3cret" }, "as has a control character"],
    [{ as: "a", "as-uid": { s3cret: 1 } }, "as-uid is not text"],
    [{ as: "a", "as-groups": "s3cret" }, "as-groups is not a list"],
    [{ as: "a", "as-groups": ["g", 5] }, "as-groups is not text"],
    [{ as: "a", "as-user-extra": ["s3cret"] }, "as-user-extra is not keys with lists"],
    [{ as: "a", "as-user-extra": { s3cret: "x" } }, "a value of as-user-extra is not a list"],
    [
      { as: "a", "as-user-extra": { k: ["\n"] } },
      "a value of as-user-extra has a control character",
    ],
    [{ as: "a", "as-user-extra": { "": ["x"] } }, "as-user-extra has an empty key"],
    [{ as: "a", "as-groups": Array(3000).fill("x".repeat(20)) }, more],
  ] as const) {
    const path = kubeconfig(t, user);
    const expected = new KubeConfigError(`--kubeconfig ${path}: its user "u": ${problem}`);
    assert.throws(() => loadKubeAccess({ kubeconfig: path }), expected);
  }
});

test("a key of extra may be any text: it becomes a field's name that means the same", () => {
  const key = "a b\u0000(){}%\n~Ü";
  const [, field] = Object.keys(
    impersonationHeaders({ as: "a", "as-user-extra": { [key]: ["x"] } }),
  );
  assert.match(field!, /^Impersonate-Extra-[\w!#$%&'*+.^`|~-]+$/);
  assert.equal(decodeURIComponent(field!.slice("Impersonate-Extra-".length)), key);
});
