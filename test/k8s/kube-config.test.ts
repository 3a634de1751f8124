import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, type TestContext, test } from "node:test";
import { credentialProblem, loadKubeAccess } from "../../src/k8s/kube-config.ts";
import { PROXY_MS_MAX, TLS_FILE_BYTES_MAX } from "../../src/k8s/limits.ts";
import { FakeClock, settle } from "../support/fake-clock.ts";
import { must } from "../support/shell.ts";
import { refusal, TOKEN } from "./refused-access.ts";

const GOOD = {
  apiVersion: "v1",
  kind: "Config",
  clusters: [{ name: "c", cluster: { server: "https://192.168.50.1:6443/base/" } }],
  users: [{ name: "u", user: { token: TOKEN } }],
  contexts: [{ name: "x", context: { cluster: "c", user: "u" } }],
  "current-context": "x",
};

const UNVERIFIED = { "certificate-authority": "ca.pem", "insecure-skip-tls-verify": true };

const withCluster = (cluster: object) => ({
  ...GOOD,
  clusters: [{ name: "c", cluster: { server: "https://h:1", ...cluster } }],
});

async function file(t: TestContext, content: unknown): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "podrouter-kubeconfig-"));
  t.after(() => rm(folder, { recursive: true }));
  const path = join(folder, "kubeconfig");
  await writeFile(path, typeof content === "string" ? content : JSON.stringify(content));
  return path;
}

test("a kubeconfig with a token", async (t) => {
  const access = loadKubeAccess({ kubeconfig: await file(t, GOOD) });
  assert.equal(access.server.href, "https://192.168.50.1:6443/base");
  const options = await access.requestOptions();
  assert.deepEqual(options.headers, { Authorization: `Bearer ${TOKEN}` });
  assert.equal(options.rejectUnauthorized, undefined);
  assert.equal(options.agent, undefined);
});

test("a kubeconfig with a token file", async (t) => {
  const withFile = (tokenFile: unknown) => ({
    ...GOOD,
    users: [
      { name: "other", user: {} },
      { name: "u", user: { tokenFile, token: "not this one" } },
    ],
  });
  const path = await file(t, withFile("token"));
  await writeFile(join(path, "..", "token"), `${TOKEN}\n`);
  const options = await loadKubeAccess({ kubeconfig: path }).requestOptions();
  assert.deepEqual(options.headers, { Authorization: `Bearer ${TOKEN}` });
  const bad = await file(t, withFile(5));
  assert.match(refusal({ kubeconfig: bad }), /: users\[1\]\.user\.tokenFile is not text$/);
});

test("a token that rotates is read for each request, and the last one is not used for ever", async (t) => {
  const users = [{ name: "u", user: { tokenFile: "token" } }];
  const path = await file(t, { ...GOOD, users });
  const tokenFile = join(path, "..", "token");
  const access = loadKubeAccess({ kubeconfig: path });
  for (const token of ["first", "second"]) {
    await writeFile(tokenFile, token);
    const { headers } = await access.requestOptions();
    assert.deepEqual(headers, { Authorization: `Bearer ${token}` });
  }
  await writeFile(tokenFile, " \n");
  const empty: unknown = await access.requestOptions().catch((e: unknown) => e);
  assert.equal(credentialProblem(empty), `${tokenFile}: is empty`);
  await rm(tokenFile);
  const error: unknown = await access.requestOptions().catch((e: unknown) => e);
  assert.equal(credentialProblem(error), `${tokenFile}: no such file`);
});

test("CA and client certificate as files beside the kubeconfig", async (t) => {
  const cluster = { server: "https://h:1", "certificate-authority": "ca.pem" };
  const user = {
    "client-certificate-data": Buffer.from("CERT").toString("base64"),
    "client-key": "key.pem",
  };
  const path = await file(t, {
    ...GOOD,
    clusters: [{ name: "c", cluster }],
    users: [{ name: "u", user }],
  });
  await writeFile(join(path, "..", "ca.pem"), "CA");
  await writeFile(join(path, "..", "key.pem"), "KEY");
  const options = await loadKubeAccess({ kubeconfig: path }).requestOptions();
  assert.deepEqual([options.ca, options.cert, options.key].map(String), ["CA", "CERT", "KEY"]);
  const key = join(path, "..", "key.pem");
  await rm(key);
  const error: unknown = await loadKubeAccess({ kubeconfig: path })
    .requestOptions()
    .catch((e: unknown) => e);
  assert.equal(credentialProblem(error), `${key}: no such file`);
});

test("what stands in the kubeconfig itself overrides a file, as in client-go", async (t) => {
  const data = (text: string) => Buffer.from(text).toString("base64");
  const cluster = {
    server: "https://h:1",
    "certificate-authority": "gone.pem",
    "certificate-authority-data": data("CA"),
  };
  const user = {
    "client-certificate": "gone.pem",
    "client-certificate-data": data("CERT"),
    "client-key": "gone.pem",
    "client-key-data": data("KEY"),
  };
  const path = await file(t, {
    ...GOOD,
    clusters: [{ name: "c", cluster }],
    users: [{ name: "u", user }],
  });
  const options = await loadKubeAccess({ kubeconfig: path }).requestOptions();
  assert.deepEqual([options.ca, options.cert, options.key].map(String), ["CA", "CERT", "KEY"]);
});

test("what a file of TLS cannot be is said, and is not waited for", async (t) => {
  const cluster = { server: "https://h:1", "certificate-authority": "ca.pem" };
  const path = await file(t, { ...GOOD, clusters: [{ name: "c", cluster }] });
  const ca = join(path, "..", "ca.pem");
  const access = loadKubeAccess({ kubeconfig: path });
  const problem = () => access.requestOptions().then(() => "there", credentialProblem);
  assert.equal(await problem(), `${ca}: no such file`);
  await writeFile(ca, "");
  assert.equal(await problem(), `${ca}: is empty`);
  await writeFile(ca, Buffer.alloc(TLS_FILE_BYTES_MAX + 1, "x"));
  assert.equal(await problem(), `${ca}: the file is too large`);
  await rm(ca);
  await must("mkfifo", [ca]);
  assert.equal(await problem(), `${ca}: is not a regular file`);
  await rm(ca);
  await writeFile(ca, "CA");
  assert.equal(String((await access.requestOptions()).ca), "CA");
});

test("plain http works as in kubectl; a context without a user keeps the CA", async (t) => {
  const plain = { name: "c", cluster: { server: "http://127.0.0.1:8080" } };
  const http = loadKubeAccess({ kubeconfig: await file(t, { ...GOOD, clusters: [plain] }) });
  assert.deepEqual((await http.requestOptions()).headers, {});
  const cluster = {
    server: "https://h:1",
    "certificate-authority-data": Buffer.from("CA").toString("base64"),
  };
  const path = await file(t, {
    ...GOOD,
    clusters: [{ name: "c", cluster }],
    users: [{ name: "anonymous", user: { token: TOKEN } }],
    contexts: [{ name: "x", context: { cluster: "c" } }],
  });
  const nobody = await loadKubeAccess({ kubeconfig: path }).requestOptions();
  assert.deepEqual([String(nobody.ca), nobody.headers], ["CA", {}]);
});

test("without TLS nothing contradicts that nothing is verified", async (t) => {
  const kubeconfig = await file(t, withCluster(UNVERIFIED));
  const access = loadKubeAccess({ kubeconfig, master: "http://127.0.0.1:8080" });
  assert.equal(access.server.protocol, "http:");
});

test("a connection that a proxy never gives is not waited for without end", async (t) => {
  const cluster = { server: "https://h:1", "proxy-url": "http://192.168.50.9:3128" };
  const path = await file(t, { ...GOOD, clusters: [{ name: "c", cluster }] });
  const options = await loadKubeAccess({ kubeconfig: path }).requestOptions();
  assert.equal(options.timeout, PROXY_MS_MAX);
});

test("a scheme may be written large, with a proxy too", async (t) => {
  const more = { server: "HTTPS://h:1", "proxy-url": "http://192.168.50.9:3128" };
  const access = loadKubeAccess({ kubeconfig: await file(t, withCluster(more)) });
  assert.equal(access.server.protocol, "https:");
  assert.ok((await access.requestOptions()).agent !== undefined);
});

test("--master replaces the server", async (t) => {
  const kubeconfig = await file(t, GOOD);
  assert.equal(loadKubeAccess({ kubeconfig, master: "https://other:7" }).server.host, "other:7");
  assert.match(refusal({ kubeconfig, master: "other:7" }), /--master "other:7" is not an http/);
});

test("the name that a certificate is to have is of the kubeconfig's server, not of --master", async (t) => {
  const cluster = { server: "https://h:1", "tls-server-name": "api.example" };
  const kubeconfig = await file(t, { ...GOOD, clusters: [{ name: "c", cluster }] });
  const own = await loadKubeAccess({ kubeconfig }).requestOptions();
  assert.equal(own.servername, "api.example");
  const other = await loadKubeAccess({ kubeconfig, master: "https://other:7" }).requestOptions();
  assert.equal(other.servername, undefined);
});

test("--master alone is asked without credentials", async () => {
  const access = loadKubeAccess({ kubeconfig: undefined, master: "http://127.0.0.1:8080" });
  assert.equal(access.server.host, "127.0.0.1:8080");
  assert.deepEqual((await access.requestOptions()).headers, {});
});

test("a credential plugin that fails is told without its output's secrets", async (t) => {
  const exec = {
    apiVersion: "client.authentication.k8s.io/v1",
    command: "/bin/sh",
    args: ["-c", "echo boom eyJhbGciOiJSUzI1NiIsImtpZCI6IjEyMzQ1Njc4OTAifQ.x.y >&2; exit 1"],
  };
  const kubeconfig = await file(t, { ...GOOD, users: [{ name: "u", user: { exec } }] });
  const error: unknown = await loadKubeAccess({ kubeconfig })
    .requestOptions()
    .catch((e: unknown) => e);
  assert.equal(credentialProblem(error), "boom …");
});

test("an auth provider's program that is not there is named", async (t) => {
  const exec = { command: "/nowhere/with-a-name-as-long-as-a-token/login" };
  const user = { "auth-provider": { name: "exec", config: { exec } } };
  const kubeconfig = await file(t, { ...GOOD, users: [{ name: "u", user }] });
  const error: unknown = await loadKubeAccess({ kubeconfig })
    .requestOptions()
    .catch((e: unknown) => e);
  assert.equal(credentialProblem(error), `${exec.command}: no such file`);
});

test("a credential plugin that prints a token instead of an ExecCredential does not tell it", async (t) => {
  const exec = {
    apiVersion: "client.authentication.k8s.io/v1",
    command: "/bin/sh",
    args: ["-c", "echo s.k3yOfNodes"],
  };
  const kubeconfig = await file(t, { ...GOOD, users: [{ name: "u", user: { exec } }] });
  const error: unknown = await loadKubeAccess({ kubeconfig })
    .requestOptions()
    .catch((e: unknown) => e);
  assert.equal(credentialProblem(error), "what the credential plugin printed is not JSON");
});

test("a credential plugin that does not end is said, and is the only one", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "podrouter-plugin-"));
  t.after(() => rm(folder, { recursive: true }));
  const [starts, end] = [join(folder, "starts"), join(folder, "end")];
  await must("mkfifo", [end]);
  // Ends when it is told to.
  const args = ["-c", `echo started >> ${starts}; read x < ${end}; exit 3`];
  const exec = { apiVersion: "client.authentication.k8s.io/v1", command: "/bin/sh", args };
  const kubeconfig = await file(t, { ...GOOD, users: [{ name: "u", user: { exec } }] });
  const clock = new FakeClock();
  const access = loadKubeAccess({ kubeconfig, clock });
  const problem = () =>
    access.requestOptions().then(
      () => "there",
      (error: unknown) => credentialProblem(error),
    );
  for (let time = 0; time < 3; time++) {
    const told = problem();
    clock.advance(10_000);
    assert.equal(
      await told,
      "not there after 10 s: the credential plugin does not end, and no second one is started",
    );
  }
  const last = problem();
  await writeFile(end, "\n", { flag: "a" });
  assert.equal(await last, "no reason given");
  assert.equal(await readFile(starts, "utf8"), "started\n");
  await settle(1);
  assert.equal(clock.pendingCount, 0);
});

describe("refused, with the file's name and what is wrong", () => {
  const cases: [string, unknown, RegExp][] = [
    [
      "not YAML",
      `users:\n- token: ${TOKEN}\n  x: [`,
      /is not YAML: line \d+, column \d+ \(BAD_INDENT\)$/,
    ],
    ["a scalar", "hello", /is not a kubeconfig|current-context/],
    ["nothing", "", /is not a kubeconfig|current-context/],
    [
      "a cluster without server",
      { ...GOOD, clusters: [{ name: "c", cluster: {} }] },
      /clusters\[0\]\.cluster\.server is missing/,
    ],
    ["no current-context", { ...GOOD, "current-context": undefined }, /has no current-context/],
    [
      "a context that is not there",
      { ...GOOD, "current-context": "y\u001b" },
      /current-context "y\?" is not one of its contexts/,
    ],
    ["a cluster that is not there", { ...GOOD, clusters: [] }, /its cluster "c" is not defined/],
    ["a user that is not there", { ...GOOD, users: [] }, /its user "u" is not defined/],
    [
      "a server with a password and no scheme",
      { ...GOOD, clusters: [{ name: "c", cluster: { server: `a:${TOKEN}@h:6443` } }] },
      /its server "…@h:6443" is not an http or https URL/,
    ],
    [
      "a server that is no URL",
      { ...GOOD, clusters: [{ name: "c", cluster: { server: "nowhere" } }] },
      /its server "nowhere" is not an http or https URL/,
    ],
    [
      "a path that is no text",
      { ...GOOD, users: [{ name: "other", user: { "client-key": { [TOKEN]: 1 } } }] },
      /: users\[0\]\.user\.client-key is not text$/,
    ],
    [
      "data that is no text",
      withCluster({ "certificate-authority-data": 5 }),
      /: clusters\[0\]\.cluster\.certificate-authority-data is not text$/,
    ],
    [
      "a proxy that is no text",
      withCluster({ "proxy-url": ["http://h:3128"] }),
      /: clusters\[0\]\.cluster\.proxy-url is not text$/,
    ],
    [
      "a CA, and no verification",
      withCluster(UNVERIFIED),
      /: its cluster "c" has a CA and insecure-skip-tls-verify, which exclude each other$/,
    ],
    [
      "a password in the URL",
      { ...GOOD, clusters: [{ name: "c", cluster: { server: `https://a:${TOKEN}@h` } }] },
      /must not hold a user name or password/,
    ],
  ];
  for (const [what, content, expected] of cases) {
    test(what, async (t) => {
      const kubeconfig = await file(t, content);
      const message = refusal({ kubeconfig });
      assert.match(message, expected);
      assert.ok(message.includes(kubeconfig));
    });
  }

  test("a file that is not there, a directory, one that is too large", async (t) => {
    const kubeconfig = await file(t, " ".repeat(2 * 1024 * 1024));
    assert.match(refusal({ kubeconfig }), /^--kubeconfig .*: the file is too large$/);
    assert.match(
      refusal({ kubeconfig: "/nowhere/kc" }),
      /^--kubeconfig \/nowhere\/kc: no such file$/,
    );
    assert.match(refusal({ kubeconfig: join(kubeconfig, "..") }), /: is a directory$/);
  });
});
