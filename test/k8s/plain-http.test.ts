/** An API server without TLS: who we are is not told to everybody on the way, as by client-go. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, type TestContext, test } from "node:test";
import { HttpApiTransport } from "../../src/k8s/http-transport.ts";
import { type KubeAccess, loadKubeAccess } from "../../src/k8s/kube-config.ts";

const TLS = join(import.meta.dirname, "..", "fixtures", "tls");
const pem = (name: string) => readFileSync(join(TLS, name));
const SECRET = "s3cr3t-token";

interface Bench {
  readonly folder: string;
  readonly access: KubeAccess;
  /** Fields of a request that say who asks: `authorization: Bearer x`. */
  readonly asked: () => Promise<readonly string[]>;
}

interface BenchOptions {
  readonly scheme?: "http" | "https";
  /** The server is --master's, and that of the kubeconfig another. */
  readonly isMaster?: boolean;
}

async function bench(
  t: TestContext,
  user: (folder: string) => object,
  { scheme = "http", isMaster = false }: BenchOptions = {},
): Promise<Bench> {
  const folder = mkdtempSync(join(tmpdir(), "podrouter-http-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const seen: string[] = [];
  const server: Server =
    scheme === "http"
      ? createServer()
      : createTlsServer({ cert: pem("server.pem"), key: pem("server-key.pem") });
  server.on("request", ({ rawHeaders: raw }, response) => {
    for (let i = 0; i < raw.length; i += 2) {
      const field = `${raw[i]}: ${raw[i + 1]}`;
      if (/^(authorization|impersonate)/i.test(field) || field.includes(SECRET)) seen.push(field);
    }
    response.end("{}");
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const url = `${scheme}://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const kubeconfig = join(folder, "kubeconfig");
  const cluster = {
    server: isMaster ? "https://192.0.2.1" : url,
    "insecure-skip-tls-verify": true,
  };
  const config = {
    clusters: [{ name: "c", cluster }],
    users: [{ name: "u", user: user(folder) }],
    contexts: [{ name: "x", context: { cluster: "c", user: "u" } }],
    "current-context": "x",
  };
  writeFileSync(kubeconfig, JSON.stringify(config));
  const access = loadKubeAccess({ kubeconfig, ...(isMaster ? { master: url } : {}) });
  const transport = new HttpApiTransport(access);
  t.after(() => {
    transport.reset();
    server.close();
    server.closeAllConnections();
  });
  const asked = async () => {
    seen.length = 0;
    await new Promise<void>((resolve, reject) => {
      const handlers = { open: () => {}, data: () => {}, end: resolve, failed: reject };
      transport.get("/api/v1/nodes", handlers);
    });
    return seen;
  };
  return { folder, access, asked };
}

/** Each way to have credentials; a plugin leaves a file where it was run. */
const USERS: Readonly<Record<string, (folder: string) => object>> = {
  "a token": () => ({ token: SECRET }),
  "a token file": (folder) => {
    writeFileSync(join(folder, "token"), SECRET);
    return { tokenFile: "token" };
  },
  "a password": () => ({ username: "me", password: SECRET }),
  "a plugin": (folder) => {
    const status = `{"status":{"token":"${SECRET}"}}`;
    return {
      exec: { command: "sh", args: ["-c", `touch ${folder}/was-run; echo '${status}'`] },
    };
  },
  "an auth provider": () => ({
    "auth-provider": { name: "azure", config: { "access-token": SECRET } },
  }),
};

for (const [what, user] of Object.entries(USERS)) {
  for (const isMaster of [false, true]) {
    test(`${what} is not sent over http${isMaster ? ", where --master leads to it" : ""}`, async (t) => {
      const { access, asked, folder } = await bench(t, user, { isMaster });
      assert.deepEqual(await asked(), []);
      assert.ok(!existsSync(join(folder, "was-run")), "the plugin is not run");
      const server = isMaster ? "--master" : `the server of context "x"`;
      assert.equal(
        access.withheld,
        `${server}, ${access.server.origin}, is without TLS: what its user "u" has to say who it ` +
          "is (token, password, plugin, certificate) is not used, as by kubectl",
      );
    });
  }

  test(`${what} is sent over https`, async (t) => {
    const { access, asked } = await bench(t, user, { scheme: "https" });
    const fields = await asked();
    assert.equal(fields.length, 1);
    const [, words] = /^authorization: \w+ (.*)$/i.exec(fields[0]!) ?? [];
    const said = what === "a password" ? Buffer.from(words!, "base64").toString() : words;
    assert.ok(said?.includes(SECRET), said);
    assert.equal(access.withheld, undefined);
  });
}

test("what is not used need not be there", async (t) => {
  const user = { tokenFile: "gone", "client-certificate": "gone.pem", "client-key": "gone.pem" };
  const { asked, access } = await bench(t, () => user);
  assert.deepEqual(await asked(), []);
  assert.ok(access.withheld !== undefined);
});

test("nor known, where kubectl does not ask for it", async (t) => {
  const { asked, access, folder } = await bench(t, () => {
    return { "auth-provider": { name: "openstack" } };
  });
  assert.deepEqual(await asked(), []);
  assert.ok(access.withheld !== undefined);
  const options = { kubeconfig: join(folder, "kubeconfig"), master: "https://192.0.2.1" };
  assert.throws(() => loadKubeAccess(options), /"openstack" is none of azure, exec, gcp and oidc$/);
});

test("whom it is taken for is said over http too, as client-go does it", async (t) => {
  const { asked } = await bench(t, () => ({ token: SECRET, as: "me", "as-groups": ["g"] }));
  assert.deepEqual(await asked(), ["Impersonate-User: me", "Impersonate-Group: g"]);
});

describe("nothing is withheld", () => {
  test("of somebody who has nothing", async (t) => {
    assert.equal((await bench(t, () => ({}))).access.withheld, undefined);
    assert.equal((await bench(t, () => ({ as: "me" }))).access.withheld, undefined);
  });

  test("of nobody", () => {
    const access = loadKubeAccess({ kubeconfig: undefined, master: "http://127.0.0.1:1" });
    assert.equal(access.withheld, undefined);
  });
});
