/** The API server behind an HTTP proxy (`proxy-url` of a kubeconfig), over real sockets. */
import assert from "node:assert/strict";
import { copyFile, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { ApiNodeSource } from "../../src/k8s/api-source.ts";
import { HttpApiTransport } from "../../src/k8s/http-transport.ts";
import { loadKubeAccess } from "../../src/k8s/kube-config.ts";
import { silentLog } from "../../src/runtime/log.ts";
import { ApiServer } from "../support/api-server/api-server.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { nodeObject, SEED } from "./node-objects.ts";
import { nextTry, Recorder, until } from "./recorder.ts";

const TLS = join(import.meta.dirname, "..", "fixtures", "tls");

/** An HTTP proxy that tunnels; `asked` = where to, so far. */
async function proxy(t: TestContext): Promise<{ url: string; asked: string[] }> {
  const asked: string[] = [];
  const sockets = new Set<Socket>();
  const server = createServer();
  server.on("connect", (request, socket: Socket) => {
    asked.push(request.url ?? "");
    const { hostname, port } = new URL(`http://${request.url}`);
    const further = connect(Number(port), hostname, () => {
      socket.write("HTTP/1.1 200 OK\r\n\r\n");
      socket.pipe(further).pipe(socket);
    });
    for (const one of [socket, further]) {
      sockets.add(one);
      one.on("error", () => undefined);
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked };
}

test("a CA that is replaced is trusted from the next request on", async (t) => {
  const [cert, key] = await Promise.all(
    ["server.pem", "server-key.pem"].map((name) => readFile(join(TLS, name), "utf8")),
  );
  const server = new ApiServer({ tls: { cert: cert ?? "", key: key ?? "" } });
  server.nodes.load([nodeObject("node1", SEED.node1)]);
  await server.start();
  t.after(() => server.stop());
  const { url, asked } = await proxy(t);
  const folder = await mkdtemp(join(tmpdir(), "podrouter-proxy-"));
  t.after(() => rm(folder, { recursive: true }));
  const [kubeconfig, ca] = [join(folder, "kubeconfig"), join(folder, "ca.pem")];
  await copyFile(join(TLS, "other-name.pem"), ca);
  const cluster = { server: server.url, "certificate-authority": "ca.pem", "proxy-url": url };
  const config = {
    clusters: [{ name: "c", cluster }],
    contexts: [{ name: "x", context: { cluster: "c" } }],
    "current-context": "x",
  };
  await writeFile(kubeconfig, JSON.stringify(config));
  const clock = new FakeClock();
  const transport = new HttpApiTransport(loadKubeAccess({ kubeconfig }));
  const source = new ApiNodeSource({ transport, clock, log: silentLog, random: () => 0 });
  t.after(() => source.stop());
  const recorder = new Recorder();
  source.start(recorder.onChange);
  const reason = () => source.status().lastError?.reason ?? "";
  await until("not trusted", () => /is not signed by the CA/.test(reason()));
  await copyFile(join(TLS, "ca.pem"), ca);
  await until("trusted", () => recorder.last.size === 1, nextTry(clock));
  assert.ok(asked.length >= 2);
  assert.ok(asked.every((target) => server.url.endsWith(target)));
});
