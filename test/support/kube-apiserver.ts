/**
 * A real kube-apiserver with a real etcd, in a namespace, with RBAC: what the embedded server of
 * the other cluster tests is held against. Certificates are the server's own self-signed ones, so
 * its certificate is also the clients' authority.
 *
 * The programs come from PATH, or from the folder where `scripts/kube-apiserver.sh` puts them.
 */
import { generateKeyPairSync, randomBytes } from "node:crypto";
import { access, mkdir, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import type { Namespaces } from "./namespaces.ts";
import { Daemon, hasProgram, must, run, until } from "./shell.ts";

const ROOT = join(import.meta.dirname, "..", "..");
const NODE = join(ROOT, "node_modules", "node", "bin", "node");
const ETCD = "http://127.0.0.1:2379";
/** A first start makes certificates and its own objects, on a machine with other work to do. */
const START_MS_MAX = 120_000;

/** Runs inside the namespace: argv = URL, method, content type; the body comes by standard input. */
const CLIENT = `
import { readFileSync } from "node:fs";
const [url, method, type] = process.argv.slice(1);
const headers = { "content-type": type, accept: "application/json" };
if (process.env.API_TOKEN) headers.authorization = "Bearer " + process.env.API_TOKEN;
const body = process.env.API_BODY || undefined;
const response = await fetch(url, { method, headers, body });
const text = await response.text();
const warning = response.headers.get("warning") ?? undefined;
process.stdout.write(JSON.stringify({ status: response.status, warning, text }));
`;

export interface KubeAnswer {
  readonly status: number;
  /** What the server warned of, such as a deprecated field. */
  readonly warning: string | undefined;
  readonly body: unknown;
}

/** Where the server's program is, or the sentence that says why there is none. */
export async function findKubeApiserver(): Promise<{ program: string } | { missing: string }> {
  const cache = process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache");
  const built = join(cache, "podrouter", "kube-apiserver");
  if (!(await hasProgram("etcd"))) return { missing: "etcd is missing (Debian: etcd-server)" };
  if (await hasProgram("kube-apiserver")) return { program: "kube-apiserver" };
  const found = await access(built).then(
    () => true,
    () => false,
  );
  if (found) return { program: built };
  return { missing: "kube-apiserver is missing; scripts/kube-apiserver.sh builds it" };
}

export interface KubeApiserverOptions {
  readonly program: string;
  readonly namespaces: Namespaces;
  /** Label of the namespace; its loopback must be up and hold or reach `address`. */
  readonly label: string;
  readonly address: string;
  /** A folder that exists; etcd's data, certificates and keys go below it. */
  readonly folder: string;
}

export class KubeApiserver {
  readonly #options: KubeApiserverOptions;
  readonly #folder: string;
  readonly #adminToken = randomBytes(24).toString("hex");
  #etcd: Daemon | undefined;
  #server: Daemon | undefined;

  constructor(options: KubeApiserverOptions) {
    this.#options = options;
    this.#folder = join(options.folder, "kube-apiserver");
  }

  get url(): string {
    return `https://${this.#options.address}:6443`;
  }

  /** PEM file of what signs the server's certificate. */
  get authority(): string {
    return join(this.#folder, "certs", "apiserver.crt");
  }

  async start(): Promise<void> {
    await mkdir(this.#folder, { mode: 0o700 });
    const key = generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey;
    const pem = key.export({ type: "pkcs8", format: "pem" });
    await writeFile(join(this.#folder, "accounts.key"), pem, { mode: 0o600 });
    const admin = `${this.#adminToken},admin,admin,system:masters\n`;
    await writeFile(join(this.#folder, "tokens.csv"), admin, { mode: 0o600 });
    const peer = "http://127.0.0.1:2380";
    this.#etcd = this.#spawn("etcd", "etcd", [
      `--data-dir=${join(this.#folder, "etcd")}`,
      `--listen-client-urls=${ETCD}`,
      `--advertise-client-urls=${ETCD}`,
      `--listen-peer-urls=${peer}`,
      `--initial-advertise-peer-urls=${peer}`,
      `--initial-cluster=default=${peer}`,
      "--log-level=warn",
    ]);
    await this.startServer();
  }

  /** The server alone, again after {@link stopServer}: its etcd kept everything. */
  async startServer(): Promise<void> {
    const { address, program } = this.#options;
    const server = this.#spawn("kube-apiserver", program, [
      `--etcd-servers=${ETCD}`,
      `--bind-address=${address}`,
      `--advertise-address=${address}`,
      "--secure-port=6443",
      `--cert-dir=${join(this.#folder, "certs")}`,
      "--service-cluster-ip-range=10.96.0.0/16",
      "--service-account-issuer=https://kubernetes.default.svc",
      `--service-account-key-file=${join(this.#folder, "accounts.key")}`,
      `--service-account-signing-key-file=${join(this.#folder, "accounts.key")}`,
      `--token-auth-file=${join(this.#folder, "tokens.csv")}`,
      "--authorization-mode=Node,RBAC",
      // Watches end after 5 to 10 s, so that a test sees them renewed.
      "--min-request-timeout=5",
    ]);
    this.#server = server;
    const ready = async () => {
      if (!server.running) throw new Error(server.output);
      const answer = await this.request("GET", "/readyz").catch(() => undefined);
      return answer?.status === 200;
    };
    await until("kube-apiserver is ready", ready, START_MS_MAX, 500);
  }

  async stopServer(): Promise<void> {
    await this.#server?.stop("SIGTERM", 1000);
  }

  async stop(): Promise<void> {
    await this.stopServer();
    await this.#etcd?.stop();
  }

  /** One request, by the administrator unless another token is given. */
  async request(
    method: string,
    path: string,
    body?: unknown,
    options: { readonly token?: string; readonly type?: string } = {},
  ): Promise<KubeAnswer> {
    const patch = method === "PATCH" ? "application/merge-patch+json" : "application/json";
    const name = this.#options.namespaces.name(this.#options.label);
    const args = ["netns", "exec", name, NODE, "--input-type=module", "-e", CLIENT, "--"];
    const env = {
      NODE_EXTRA_CA_CERTS: this.authority,
      API_TOKEN: options.token ?? this.#adminToken,
      API_BODY: body === undefined ? "" : JSON.stringify(body),
    };
    const rest = [`${this.url}${path}`, method, options.type ?? patch];
    const answer = JSON.parse(await must("ip", [...args, ...rest], { env })) as {
      status: number;
      warning?: string;
      text: string;
    };
    return { status: answer.status, warning: answer.warning, body: parsed(answer.text) };
  }

  /** Like {@link request}, but anything else than success is an error that quotes the answer. */
  async must(method: string, path: string, body?: unknown): Promise<unknown> {
    const answer = await this.request(method, path, body);
    if (answer.status >= 300) {
      throw new Error(`${method} ${path}: ${answer.status}: ${JSON.stringify(answer.body)}`);
    }
    return answer.body;
  }

  /** A token of a ServiceAccount, as kubelet gets it for a pod. */
  async serviceAccountToken(namespace: string, name: string): Promise<string> {
    const path = `/api/v1/namespaces/${namespace}/serviceaccounts/${name}/token`;
    const request = { apiVersion: "authentication.k8s.io/v1", kind: "TokenRequest", spec: {} };
    const answer = (await this.must("POST", path, request)) as { status: { token: string } };
    return answer.status.token;
  }

  /** A kubeconfig that names this server and reads its token from a file, as pods do. */
  async writeKubeconfig(file: string, tokenFile: string): Promise<void> {
    const config = {
      apiVersion: "v1",
      kind: "Config",
      clusters: [
        { name: "real", cluster: { server: this.url, "certificate-authority": this.authority } },
      ],
      users: [{ name: "podrouter", user: { tokenFile } }],
      contexts: [{ name: "real", context: { cluster: "real", user: "podrouter" } }],
      "current-context": "real",
    };
    await writeFile(file, JSON.stringify(config), { mode: 0o600 });
  }

  /** Its version, as it says itself. */
  async version(): Promise<string> {
    const { gitVersion } = (await this.must("GET", "/version")) as { gitVersion: string };
    const etcd = (await run("etcd", ["--version"])).stdout.split("\n")[0] ?? "";
    return `kube-apiserver ${gitVersion}, ${etcd}`;
  }

  #spawn(name: string, program: string, args: readonly string[]): Daemon {
    const namespace = this.#options.namespaces.name(this.#options.label);
    return new Daemon(name, "ip", ["netns", "exec", namespace, program, ...args]);
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
