/** Credential plugins of a kubeconfig, run for real: `sh` with a few words. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { ApiNodeSource } from "../../src/k8s/api-source.ts";
import { HttpApiTransport } from "../../src/k8s/http-transport.ts";
import {
  credentialProblem,
  type KubeAccess,
  KubeConfigError,
  loadKubeAccess,
} from "../../src/k8s/kube-config.ts";
import { CA_BYTES_MAX } from "../../src/k8s/limits.ts";
import { silentLog } from "../../src/runtime/log.ts";
import { ApiServer } from "../support/api-server/api-server.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { nodeObject, SEED } from "./node-objects.ts";
import { nextTry, Recorder, until } from "./recorder.ts";

const TLS = join(import.meta.dirname, "..", "fixtures", "tls");
const API_VERSION = "client.authentication.k8s.io/v1";

interface Bench {
  readonly access: KubeAccess;
  readonly folder: string;
  /** What the plugin prints from now on. */
  readonly prints: (status: unknown) => Promise<void>;
}

interface BenchOptions {
  /** More of the cluster, or of the user beside its plugin. */
  readonly cluster?: Record<string, unknown>;
  readonly user?: Record<string, unknown>;
  readonly master?: string;
  readonly clock?: FakeClock;
}

/** A plugin that prints the file `credential`; `server` is where the kubeconfig leads. */
async function bench(
  t: TestContext,
  exec: unknown = {},
  server = "https://192.168.50.1:6443",
  { cluster = {}, user = {}, ...options }: BenchOptions = {},
): Promise<Bench> {
  const folder = await mkdtemp(join(tmpdir(), "podrouter-plugin-"));
  t.after(() => rm(folder, { recursive: true }));
  const [kubeconfig, credential] = [join(folder, "kubeconfig"), join(folder, "credential")];
  const command = { apiVersion: API_VERSION, command: "cat", args: [credential] };
  const isMore = typeof exec === "object" && exec !== null;
  await writeFile(join(folder, "ca.pem"), "CA");
  const config = {
    clusters: [{ name: "c", cluster: { server, ...cluster } }],
    users: [{ name: "u", user: { exec: isMore ? { ...command, ...exec } : exec, ...user } }],
    contexts: [{ name: "x", context: { cluster: "c", user: "u" } }],
    "current-context": "x",
  };
  await writeFile(kubeconfig, JSON.stringify(config));
  const prints = (status: unknown) =>
    writeFile(credential, JSON.stringify({ kind: "ExecCredential", status }));
  return { access: loadKubeAccess({ kubeconfig, ...options }), folder, prints };
}

/** A plugin whose token is what it was told, which {@link toldBy} reads. */
const TELLS = {
  command: "sh",
  args: [
    "-c",
    'printf \'{"status":{"token":"%s"}}\' "$(printf %s "$KUBERNETES_EXEC_INFO" | base64 -w0)"',
  ],
};

async function toldBy(access: KubeAccess): Promise<Record<string, unknown>> {
  const token = String(await authorization(access)).replace("Bearer ", "");
  const { spec } = JSON.parse(Buffer.from(token, "base64").toString()) as {
    spec: Record<string, unknown>;
  };
  return spec;
}

/** The Authorization header of a request now, or why there is none. */
async function authorization(access: KubeAccess): Promise<unknown> {
  try {
    const { headers } = await access.requestOptions();
    return (headers as { readonly Authorization?: string }).Authorization;
  } catch (error) {
    return credentialProblem(error);
  }
}

test("a token without an end is kept until the server refuses it", async (t) => {
  const { access, prints } = await bench(t);
  await prints({ token: "first" });
  assert.equal(await authorization(access), "Bearer first");
  await prints({ token: "second" });
  assert.equal(await authorization(access), "Bearer first");
  access.refused();
  assert.equal(await authorization(access), "Bearer second");
});

test("what is no credential is said, and not kept", async (t) => {
  const { access, prints } = await bench(t);
  for (const [status, problem] of [
    [undefined, "what the credential plugin printed is not an ExecCredential"],
    [null, "what the credential plugin printed is not an ExecCredential"],
    [{}, "the credential plugin gave neither a token nor a client certificate"],
    [{ token: " \n" }, "the credential plugin gave neither a token nor a client certificate"],
    [{ token: "" }, "the credential plugin gave neither a token nor a client certificate"],
  ] as const) {
    await prints(status);
    assert.equal(await authorization(access), problem);
    assert.equal(await authorization(access), problem);
  }
  await prints({ token: "good" });
  assert.equal(await authorization(access), "Bearer good");
});

test("a plugin that is not there is named", async (t) => {
  const { access } = await bench(t, { command: "a-credential-plugin-with-a-long-name" });
  assert.equal(await authorization(access), "a-credential-plugin-with-a-long-name: no such file");
});

test("an empty exec is no plugin, and no end of the start", async (t) => {
  assert.equal(await authorization((await bench(t, null)).access), undefined);
});

test("a client certificate without a token is a credential", async (t) => {
  const { access, prints } = await bench(t);
  await prints({ clientCertificateData: "CERT", clientKeyData: "KEY" });
  const { cert, key } = await access.requestOptions();
  assert.deepEqual([cert, key], ["CERT", "KEY"]);
});

test("a plugin is told what is asked of it, and its own variables", async (t) => {
  const script =
    'printf \'{"status":{"token":"%s"}}\' "$(printf %s "$KUBERNETES_EXEC_INFO$OWN" | base64 -w0)"';
  const env = ["OWN", "KUBERNETES_EXEC_INFO"].map((name) => ({ name, value: "+own" }));
  const { access } = await bench(t, { command: "sh", args: ["-c", script], env });
  const token = String(await authorization(access)).replace("Bearer ", "");
  const [info, own] = Buffer.from(token, "base64").toString().split("+");
  assert.deepEqual(JSON.parse(info ?? ""), {
    kind: "ExecCredential",
    apiVersion: API_VERSION,
    spec: { interactive: false },
  });
  assert.equal(own, "own");
});

test("a command with a slash is of the kubeconfig's folder, as for kubectl", async (t) => {
  const { access, folder } = await bench(t, { command: "bin/plugin", args: [] });
  await mkdir(join(folder, "bin"));
  const script = `#!/bin/sh\necho '{"status":{"token":"from-there"}}'\n`;
  await writeFile(join(folder, "bin", "plugin"), script, { mode: 0o755 });
  assert.equal(await authorization(access), "Bearer from-there");
});

test("a token that the server takes no more: the plugin is asked for another", async (t) => {
  const [cert, key] = (await Promise.all(
    ["server.pem", "server-key.pem"].map((name) => readFile(join(TLS, name), "utf8")),
  )) as [string, string];
  const server = new ApiServer({ token: "new-one", tls: { cert, key } });
  server.nodes.load([nodeObject("node1", SEED.node1)]);
  await server.start();
  t.after(() => server.stop());
  const cluster = { "certificate-authority": join(TLS, "ca.pem") };
  const { access, prints } = await bench(t, {}, server.url, { cluster });
  await prints({ token: "old-one" });
  const clock = new FakeClock();
  const transport = new HttpApiTransport(access);
  const source = new ApiNodeSource({ transport, clock, log: silentLog, random: () => 0 });
  t.after(() => source.stop());
  const recorder = new Recorder();
  source.start(recorder.onChange);
  await until("refused", () => source.status().lastError?.reason === "401: Unauthorized");
  await prints({ token: "new-one" });
  await until("taken", () => recorder.last.size === 1, nextTry(clock));
});

test("a plugin is told of the cluster if it is to be", async (t) => {
  const cluster = {
    "tls-server-name": "api.example",
    "insecure-skip-tls-verify": false,
    "certificate-authority": "ca.pem",
    "proxy-url": "http://192.168.50.9:3128",
    "disable-compression": true,
    extensions: [
      { name: "other", extension: { audience: "not this one" } },
      { name: "client.authentication.k8s.io/exec", extension: { audience: "06e3fbd18de8" } },
    ],
  };
  const server = "https://192.168.50.1:6443/base/";
  const asked = { ...TELLS, provideClusterInfo: true };
  const { access, folder } = await bench(t, asked, server, { cluster });
  const told = {
    server,
    "tls-server-name": "api.example",
    "certificate-authority-data": Buffer.from("CA").toString("base64"),
    "proxy-url": "http://192.168.50.9:3128",
    "disable-compression": true,
    config: { audience: "06e3fbd18de8" },
  };
  assert.deepEqual(await toldBy(access), { cluster: told, interactive: false });
  // Another CA is told from the next run on.
  await writeFile(join(folder, "ca.pem"), "CB");
  access.refused();
  const other = { ...told, "certificate-authority-data": Buffer.from("CB").toString("base64") };
  assert.deepEqual(await toldBy(access), { cluster: other, interactive: false });
  const quiet = await bench(t, TELLS, server, { cluster });
  assert.deepEqual(await toldBy(quiet.access), { interactive: false });
});

test("what a plugin is told of a cluster with less, and of another server", async (t) => {
  const cluster = {
    "tls-server-name": "api.example",
    "certificate-authority-data": Buffer.from("CA").toString("base64"),
  };
  const asked = { ...TELLS, provideClusterInfo: true };
  const master = "https://192.168.50.7:6443";
  const { access } = await bench(t, asked, "https://h:1", { cluster, master });
  assert.deepEqual((await toldBy(access))["cluster"], {
    server: master,
    "certificate-authority-data": cluster["certificate-authority-data"],
    config: null,
  });
  const skips = { "insecure-skip-tls-verify": true };
  const unverified = await bench(t, asked, "https://h:1", { cluster: skips });
  assert.deepEqual((await toldBy(unverified.access))["cluster"], {
    server: "https://h:1",
    ...skips,
    config: null,
  });
  const both = { ...cluster, "certificate-authority": "ca.pem" };
  const overridden = await bench(t, asked, "https://h:1", { cluster: both });
  await rm(join(overridden.folder, "ca.pem"));
  assert.deepEqual((await toldBy(overridden.access))["cluster"], {
    server: "https://h:1",
    "tls-server-name": "api.example",
    "certificate-authority-data": cluster["certificate-authority-data"],
    config: null,
  });
  const bare = await bench(t, asked, "https://h:1");
  assert.deepEqual((await toldBy(bare.access))["cluster"], { server: "https://h:1", config: null });
});

test("a plugin that is to be told more than a variable holds is not run, for a reason", async (t) => {
  const asked = { ...TELLS, provideClusterInfo: true };
  const file = { "certificate-authority": "ca.pem" };
  const { access, folder } = await bench(t, asked, "https://h:1", { cluster: file });
  await writeFile(join(folder, "ca.pem"), "C".repeat(CA_BYTES_MAX + 1));
  assert.equal(await authorization(access), `${folder}/ca.pem: the file is too large`);
  // As much as is allowed can be told, with a name and a proxy beside it.
  await writeFile(join(folder, "ca.pem"), "C".repeat(CA_BYTES_MAX));
  assert.match(String(await authorization(access)), /^Bearer \w{150000}/);
  const data = { "certificate-authority-data": "QUJD".repeat(40_000) };
  const inline = await bench(t, asked, "https://h:1", { cluster: data });
  const reason = "sh: its arguments or variables are more than Linux takes";
  assert.equal(await authorization(inline.access), reason);
});

test("how a plugin is run that cannot be so run is refused at the start", async (t) => {
  for (const [exec, problem] of [
    ["cat", "exec is not an object"],
    [{ command: "" }, "exec.command is not a program"],
    [{ args: [1] }, "exec.args holds what is not text"],
    [{ args: "a" }, "exec.args is not a list"],
    [{ env: {} }, "exec.env is not a list"],
    [{ env: [{ value: "b" }] }, "exec.env holds what is no name with a value"],
    [{ interactiveMode: "Always" }, 'exec.interactiveMode "Always": the agent has no terminal'],
    [
      { interactiveMode: "never" },
      'exec.interactiveMode "never" is none of Never, IfAvailable and Always',
    ],
  ] as const) {
    const error: unknown = await bench(t, exec).catch((e: unknown) => e);
    assert.ok(error instanceof KubeConfigError, String(error));
    assert.match(error.message, /^--kubeconfig \S+: its user "u": exec/);
    assert.ok(error.message.endsWith(problem), error.message);
  }
  for (const interactiveMode of ["Never", "IfAvailable", null]) {
    const { access } = await bench(t, { ...TELLS, interactiveMode, env: null });
    assert.deepEqual(await toldBy(access), { interactive: false });
  }
});

test("a plugin that reads its standard input finds it at its end", async (t) => {
  const script = `cat; echo '{"status":{"token":"t"}}'`;
  const { access } = await bench(t, { command: "sh", args: ["-c", script] });
  assert.equal(await authorization(access), "Bearer t");
});

test("a plugin that prints without end is ended, and one that was killed is told", async (t) => {
  const { access } = await bench(t, { command: "cat", args: ["/dev/zero"] });
  assert.equal(
    await authorization(access),
    "the credential plugin was ended after printing too much",
  );
  const killed = await bench(t, { command: "sh", args: ["-c", "kill -9 $$"] });
  assert.equal(await authorization(killed.access), "the credential plugin was ended by SIGKILL");
});

test("half a client certificate and an end that is no time are no credential", async (t) => {
  const { access, prints } = await bench(t);
  for (const [status, problem] of [
    [{ token: "t", clientKeyData: "KEY" }, "only one of a client certificate and its key"],
    [{ clientCertificateData: "CERT" }, "only one of a client certificate and its key"],
    [{ token: "t", expirationTimestamp: "soon" }, "an expirationTimestamp that is no time"],
  ] as const) {
    await prints(status);
    assert.equal(await authorization(access), `the credential plugin gave ${problem}`);
  }
  await prints({ token: "t", expirationTimestamp: null });
  assert.equal(await authorization(access), "Bearer t");
});

test("a plugin is run again at the end of what it gave", async (t) => {
  const clock = new FakeClock();
  const { access, prints } = await bench(t, {}, undefined, { clock });
  const expirationTimestamp = new Date(clock.wall() + 60_000).toISOString();
  await prints({ token: "first", expirationTimestamp });
  assert.equal(await authorization(access), "Bearer first");
  await prints({ token: "second" });
  clock.advance(59_999);
  assert.equal(await authorization(access), "Bearer first");
  clock.advance(1);
  assert.equal(await authorization(access), "Bearer second");
});

test("who has a token, a password or a certificate beside it needs no plugin", async (t) => {
  const data = (text: string) => Buffer.from(text).toString("base64");
  for (const [user, header] of [
    [{ token: "own" }, "Bearer own"],
    [{ username: "me", password: "x" }, undefined],
    [{ "client-certificate-data": data("C"), "client-key-data": data("K") }, undefined],
  ] as const) {
    const { access } = await bench(t, {}, undefined, { user });
    assert.equal(await authorization(access), header);
  }
  const half = await bench(t, {}, undefined, { user: { "client-certificate-data": data("C") } });
  await half.prints({ token: "t" });
  assert.equal(await authorization(half.access), "Bearer t");
});

test("without a file descriptor to spare a plugin is not there, and the agent is", async (t) => {
  const script = `
    import { closeSync, openSync, writeFileSync } from "node:fs";
    import { loadKubeAccess } from "${new URL("../../src/k8s/kube-config.ts", import.meta.url)}";
    const exec = { command: "echo", args: ['{"status":{"token":"t"}}'] };
    const kubeconfig = process.argv[1];
    writeFileSync(kubeconfig, JSON.stringify({
      clusters: [{ name: "c", cluster: { server: "https://h:1" } }],
      users: [{ name: "u", user: { exec } }],
      contexts: [{ name: "x", context: { cluster: "c", user: "u" } }],
      "current-context": "x",
    }));
    const access = loadKubeAccess({ kubeconfig });
    const all = [];
    try { for (;;) all.push(openSync("/dev/null", "r")); } catch {}
    const none = await access.requestOptions().catch((error) => error.message);
    for (const fd of all) closeSync(fd);
    const { headers } = await access.requestOptions();
    console.log(none, headers.Authorization);`;
  const folder = await mkdtemp(join(tmpdir(), "podrouter-plugin-"));
  t.after(() => rm(folder, { recursive: true }));
  const node = [
    process.execPath,
    "--input-type=module-typescript",
    "-e",
    script,
    join(folder, "kubeconfig"),
  ];
  const run = ["-c", 'ulimit -n 64 && exec "$@"', "sh", ...node];
  const { stdout, stderr } = spawnSync("sh", run, { encoding: "utf8" });
  assert.equal(stdout, "echo: EMFILE Bearer t\n", stderr);
});
