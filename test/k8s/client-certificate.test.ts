/** Credentials that are replaced while the agent runs: as files, and as a plugin gives them. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { copyFile, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import type { ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import type { TLSSocket } from "node:tls";
import { ApiNodeSource } from "../../src/k8s/api-source.ts";
import { HttpApiTransport } from "../../src/k8s/http-transport.ts";
import { loadKubeAccess } from "../../src/k8s/kube-config.ts";
import { silentLog } from "../../src/runtime/log.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { nodeObject, SEED } from "./node-objects.ts";
import { nextTry, Recorder, until } from "./recorder.ts";

const FIXTURES = join(import.meta.dirname, "..", "fixtures", "tls");
const pem = (name: string) => readFile(join(FIXTURES, name), "utf8");

/** Each request with the serial number of its client certificate, none = "". */
interface Seen {
  readonly kind: "list" | "watch";
  readonly serial: string;
}

interface Bench {
  readonly folder: string;
  readonly source: ApiNodeSource;
  readonly seen: Seen[];
  /** The watches that are open. */
  readonly watches: Set<ServerResponse>;
  /** Serial numbers that get a 401. */
  readonly refused: Set<string>;
  readonly recorder: Recorder;
  readonly clock: FakeClock;
}

async function listening(t: TestContext, server: Server): Promise<string> {
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => sockets.add(socket));
  t.after(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** A source that follows a server which asks for client certificates, as an API server does. */
async function bench(
  t: TestContext,
  user: Record<string, unknown>,
  prepare: (folder: string) => Promise<unknown>,
): Promise<Bench> {
  const [cert, key] = [await pem("server.pem"), await pem("server-key.pem")];
  const seen: Seen[] = [];
  const watches = new Set<ServerResponse>();
  const refused = new Set<string>();
  const server = createTlsServer(
    { cert, key, requestCert: true, rejectUnauthorized: false },
    (request, response) => {
      const serial = (request.socket as TLSSocket).getPeerCertificate().serialNumber ?? "";
      const kind = request.url?.includes("watch=true") === true ? "watch" : "list";
      seen.push({ kind, serial });
      if (refused.has(serial)) {
        response.writeHead(401).end('{"kind":"Status","code":401,"message":"Unauthorized"}');
      } else if (kind === "watch") {
        response.writeHead(200).flushHeaders();
        watches.add(response);
        response.on("close", () => watches.delete(response));
      } else {
        const items = [nodeObject("node1", SEED.node1)];
        response.end(JSON.stringify({ metadata: { resourceVersion: "1" }, items }));
      }
    },
  );
  const url = await listening(t, server);
  const folder = await newFolder(t);
  await copyFile(join(FIXTURES, "server-key.pem"), join(folder, "key.pem"));
  await prepare(folder);
  return { folder, seen, watches, refused, ...(await follow(t, folder, url, user)) };
}

/** A folder for a kubeconfig, with the CA that it names. */
async function newFolder(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "podrouter-rotation-"));
  t.after(() => rm(folder, { recursive: true }));
  await copyFile(join(FIXTURES, "ca.pem"), join(folder, "ca.pem"));
  return folder;
}

async function follow(
  t: TestContext,
  folder: string,
  server: string,
  user: Record<string, unknown>,
): Promise<Pick<Bench, "source" | "recorder" | "clock">> {
  const config = {
    clusters: [{ name: "c", cluster: { server, "certificate-authority": "ca.pem" } }],
    users: [{ name: "u", user }],
    contexts: [{ name: "x", context: { cluster: "c", user: "u" } }],
    "current-context": "x",
  };
  const kubeconfig = join(folder, "kubeconfig");
  await writeFile(kubeconfig, JSON.stringify(config));
  const clock = new FakeClock();
  const transport = new HttpApiTransport(loadKubeAccess({ kubeconfig, clock }));
  const source = new ApiNodeSource({ transport, clock, log: silentLog, random: () => 0 });
  t.after(() => source.stop());
  const recorder = new Recorder();
  source.start(recorder.onChange);
  return { source, recorder, clock };
}

/** A user with the plugin that {@link putPlugin} makes. */
const PLUGIN = { exec: { command: "./plugin.sh" } };

async function putPlugin(folder: string, words: string): Promise<void> {
  await writeFile(join(folder, "plugin.sh"), `#!/bin/sh\n${words}\n`, { mode: 0o755 });
}

/** One that prints what {@link prints} has put. */
async function putPrinter(folder: string): Promise<void> {
  await putPlugin(folder, `exec cat ${join(folder, "credential")}`);
}

async function prints(folder: string, clientCertificateData: string): Promise<void> {
  const clientKeyData = await pem("server-key.pem");
  const status = { clientCertificateData, clientKeyData };
  await writeFile(join(folder, "credential"), JSON.stringify({ status }));
}

test("a client certificate in a file that is replaced: the next watch has the new one", async (t) => {
  const user = { "client-certificate": "cert.pem", "client-key": "key.pem" };
  const files = { first: "server.pem", second: "other-name.pem" };
  const copy = (folder: string, name: string) =>
    copyFile(join(FIXTURES, name), join(folder, "cert.pem"));
  const { folder, seen, watches, refused, clock } = await bench(t, user, (into) =>
    copy(into, files.first),
  );
  await until("the first watch", () => watches.size === 1);
  const [first] = watches;
  await copy(folder, files.second);
  first?.end();
  await until("the second watch", () => watches.size === 1 && seen.length === 3);
  const serials = seen.map(({ serial }) => serial);
  assert.equal(serials[0], serials[1]);
  assert.notEqual(serials[1], serials[2]);
  // A server that takes the new one no more: the first is there again, without a restart.
  refused.add(serials[2]!);
  await copy(folder, files.first);
  for (const watch of watches) watch.destroy();
  await until(
    "the third watch",
    () => watches.size === 1 && seen.at(-1)?.serial === serials[0],
    nextTry(clock),
  );
});

test("a client certificate of a plugin that is refused: the plugin is asked for another", async (t) => {
  const { folder, seen, watches, refused, clock } = await bench(t, PLUGIN, async (into) => {
    await putPrinter(into);
    await prints(into, await pem("server.pem"));
  });
  await until("the first watch", () => watches.size === 1);
  const first = seen[0]!.serial;
  refused.add(first);
  await prints(folder, await pem("other-name.pem"));
  for (const watch of watches) watch.end();
  await until(
    "a watch with the other certificate",
    () => watches.size === 1 && seen.at(-1)?.serial !== first,
    nextTry(clock),
  );
  const again = seen.slice(2).map(({ serial }) => serial === first);
  assert.deepEqual(again, [true, false]);
});

test("a certificate of a plugin that cannot be used at all is not kept", async (t) => {
  const { folder, source, recorder, clock } = await bench(t, PLUGIN, async (into) => {
    await putPrinter(into);
    await prints(into, "not a certificate");
  });
  await until("said", () => /^credentials: /.test(source.status().lastError?.reason ?? ""));
  await prints(folder, await pem("server.pem"));
  await until("used", () => recorder.last.size === 1, nextTry(clock));
});

test("a certificate of a plugin that TLS refuses is not kept", async (t) => {
  // As a proxy does that looks at client certificates itself: fatal alert 45, certificate_expired.
  const server = createServer((socket) => {
    socket.on("error", () => undefined);
    socket.once("data", () => socket.end(Buffer.from("1503030002022d", "hex")));
  });
  const url = await listening(t, server);
  const folder = await newFolder(t);
  const runs = join(folder, "runs");
  const answer = '{"status":{"token":"t"}}';
  await putPlugin(folder, `echo run >> ${runs}; echo '${answer}'`);
  const { source, clock } = await follow(t, folder, url, PLUGIN);
  const said =
    'the server ended TLS with the alert "certificate expired", which means our client certificate';
  await until("an alert", () => source.status().lastError?.reason === said);
  const count = () => readFileSync(runs, "utf8").split("\n").length - 1;
  assert.equal(count(), 1);
  await until("run again", () => count() > 1, nextTry(clock));
});
