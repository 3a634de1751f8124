/**
 * The embedded API server by itself:
 *
 *   node main.ts --listen 127.0.0.1:6443 --nodes nodes.yaml --kubeconfig-out kubeconfig
 *
 * `--nodes` (optional) is a list of Nodes as YAML or JSON; `--token` asks for a bearer token, which
 * clients send by TLS alone: `--tls` is a folder with ca.pem, server.pem and server-key.pem;
 * `--bookmark-ms` sets the time between bookmarks. Ends on SIGTERM, SIGINT, and when told to stop.
 */
import { readFile, writeFile } from "node:fs/promises";
import { isIP } from "node:net";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { parseAllDocuments } from "yaml";
import { ApiServer } from "./api-server.ts";
import { isJsonObject, type JsonObject } from "./api-status.ts";

const { values } = parseArgs({
  options: {
    listen: { type: "string", default: "127.0.0.1:6443" },
    nodes: { type: "string" },
    "kubeconfig-out": { type: "string" },
    token: { type: "string" },
    tls: { type: "string" },
    "bookmark-ms": { type: "string", default: "10000" },
  },
});

try {
  await main();
} catch (error) {
  process.stderr.write(`api-server: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}

async function main(): Promise<void> {
  const { host, port } = listenAddress(values.listen);
  const token = values.token === undefined ? {} : { token: values.token };
  const tls = values.tls === undefined ? undefined : await tlsOf(values.tls);
  const server = new ApiServer({
    ...{ host, port, ...token, bookmarkMs: Number(values["bookmark-ms"]) },
    ...(tls === undefined ? {} : { tls }),
  });
  if (values.nodes !== undefined) {
    for (const node of await nodesOf(values.nodes)) server.nodes.create(withoutVersion(node));
  }
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    process.once(signal, () => void server.stop().then(() => process.exit(0)));
  }
  await server.start();
  const file = values["kubeconfig-out"];
  if (file !== undefined) await writeFile(file, server.kubeconfig(tls), { mode: 0o600 });
  process.stdout.write(`api-server: ${server.nodes.size} Nodes on ${server.url}\n`);
}

async function tlsOf(folder: string) {
  const [ca, cert, key] = await Promise.all(
    ["ca.pem", "server.pem", "server-key.pem"].map((name) => readFile(join(folder, name), "utf8")),
  );
  return { ca: ca!, cert: cert!, key: key! };
}

function listenAddress(text: string): { readonly host: string; readonly port: number } {
  const match = /^(?:\[(.+)\]|([^:]+)):(\d{1,5})$/.exec(text);
  const host = match?.[1] ?? match?.[2] ?? "";
  const port = Number(match?.[3]);
  if (isIP(host) === 0 || port > 65_535) {
    throw new Error(`--listen ${text}: expected ADDRESS:PORT`);
  }
  return { host, port };
}

async function nodesOf(file: string): Promise<JsonObject[]> {
  const documents = parseAllDocuments(await readFile(file, "utf8"));
  const list = Array.isArray(documents) ? documents : [];
  return list.flatMap((document): JsonObject[] => {
    if (document.errors[0] !== undefined) throw new Error(`${file}: ${document.errors[0].message}`);
    const value: unknown = document.toJS();
    if (!isJsonObject(value)) return [];
    const { items } = value;
    return Array.isArray(items) ? items.filter(isJsonObject) : [value];
  });
}

/** As `kubectl get -o yaml` wrote it, it has a version, which a create must not. */
function withoutVersion(node: JsonObject): JsonObject {
  const metadata = isJsonObject(node["metadata"]) ? { ...node["metadata"] } : {};
  delete metadata["resourceVersion"];
  return { ...node, metadata };
}
