/**
 * A real kube-apiserver with a real etcd, in a namespace, with RBAC: what the embedded server of
 * the other cluster tests is held against; with controllers and scheduler where a test asks for
 * them. Certificates are the server's own self-signed ones, so its certificate is also the
 * clients' authority.
 */
import { generateKeyPairSync, randomBytes } from "node:crypto";
import { cp, mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Namespaces } from "../namespaces.ts";
import { Daemon, must, run, until } from "../shell.ts";
import type { KubernetesProgram } from "./programs.ts";

const ROOT = join(import.meta.dirname, "..", "..", "..");
const NODE = join(ROOT, "node_modules", "node", "bin", "node");
const ETCD = "http://127.0.0.1:2379";
/** A first start makes certificates and its own objects, on a machine with other work to do. */
const START_MS_MAX = 120_000;

/** Runs inside the namespace: argv = URL, method, content type; token and body come by environment variables. */
const CLIENT = `
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

export interface ControlPlaneOptions {
  readonly programs: ReadonlyMap<KubernetesProgram, string>;
  readonly namespaces: Namespaces;
  /** Label of the namespace; its loopback must be up and hold or reach `address`. */
  readonly label: string;
  readonly address: string;
  /** A folder that exists; etcd's data, certificates and keys go below it. */
  readonly folder: string;
}

export class ControlPlane {
  readonly #options: ControlPlaneOptions;
  readonly #folder: string;
  readonly #adminToken = randomBytes(24).toString("hex");
  #etcd: Daemon | undefined;
  #controllers: Daemon | undefined;
  #scheduler: Daemon | undefined;
  #server: Daemon | undefined;

  constructor(options: ControlPlaneOptions) {
    this.#options = options;
    this.#folder = join(options.folder, "control-plane");
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
    this.#startEtcd();
    await this.startServer();
  }

  /** Keeps a copy of etcd's data, for {@link restore}; the server is away meanwhile. */
  async backUp(): Promise<void> {
    await this.#stopBoth();
    await cp(this.#data, `${this.#data}.backup`, { recursive: true });
    this.#startEtcd();
    await this.startServer();
  }

  /** Puts etcd back to the copy: its versions, too, are those of then. */
  async restore(): Promise<void> {
    await this.#stopBoth();
    await rm(this.#data, { recursive: true });
    await cp(`${this.#data}.backup`, this.#data, { recursive: true });
    this.#startEtcd();
    await this.startServer();
  }

  /** The server alone, again after {@link stopServer}: its etcd kept everything. */
  async startServer(): Promise<void> {
    const { address } = this.#options;
    const server = this.#spawn("kube-apiserver", this.#program("kube-apiserver"), [
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
      "--kubelet-preferred-address-types=InternalIP",
    ]);
    this.#server = server;
    const ready = async () => {
      if (!server.running) throw new Error(server.output);
      const answer = await this.request("GET", "/readyz").catch(() => undefined);
      return answer?.status === 200;
    };
    await until("kube-apiserver is ready", ready, START_MS_MAX, 500);
  }

  /**
   * Controllers, which also give each Node its pod CIDR, a /24 of `clusterCidr`, and the scheduler.
   * Both are administrators here.
   */
  async startControllers(clusterCidr: string): Promise<void> {
    const kubeconfig = await this.adminKubeconfig();
    const common = [`--kubeconfig=${kubeconfig}`, "--leader-elect=false"];
    this.#controllers = this.#spawn("controllers", this.#program("kube-controller-manager"), [
      ...common,
      "--allocate-node-cidrs=true",
      `--cluster-cidr=${clusterCidr}`,
      `--root-ca-file=${this.authority}`,
      `--service-account-private-key-file=${join(this.#folder, "accounts.key")}`,
    ]);
    this.#scheduler = this.#spawn("scheduler", this.#program("kube-scheduler"), common);
  }

  /** A kubeconfig of the administrator; the file's path. */
  async adminKubeconfig(): Promise<string> {
    const token = join(this.#folder, "admin.token");
    await writeFile(token, this.#adminToken, { mode: 0o600 });
    const file = join(this.#folder, "admin.kubeconfig");
    await this.writeKubeconfig(file, token);
    return file;
  }

  /** Runs kubectl as the administrator; its output. */
  async kubectl(...args: string[]): Promise<string> {
    const kubeconfig = `--kubeconfig=${join(this.#folder, "admin.kubeconfig")}`;
    const name = this.#options.namespaces.name(this.#options.label);
    const command = [this.#program("kubectl"), kubeconfig, ...args];
    return must("ip", ["netns", "exec", name, ...command], { timeoutMs: 120_000 });
  }

  async stopServer(): Promise<void> {
    await this.#server?.stop("SIGTERM", 1000);
  }

  async stop(): Promise<void> {
    await this.#scheduler?.stop("SIGTERM", 1000);
    await this.#controllers?.stop("SIGTERM", 1000);
    await this.#stopBoth();
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

  /** A token of a ServiceAccount, as kubelet gets it for a pod; good for as long as `secret` is. */
  async serviceAccountToken(namespace: string, name: string, secret?: string): Promise<string> {
    const path = `/api/v1/namespaces/${namespace}/serviceaccounts/${name}/token`;
    const bound = { kind: "Secret", apiVersion: "v1", name: secret };
    const spec = secret === undefined ? {} : { boundObjectRef: bound };
    const request = { apiVersion: "authentication.k8s.io/v1", kind: "TokenRequest", spec };
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

  get #data(): string {
    return join(this.#folder, "etcd");
  }

  #startEtcd(): void {
    const peer = "http://127.0.0.1:2380";
    this.#etcd = this.#spawn("etcd", "etcd", [
      `--data-dir=${this.#data}`,
      `--listen-client-urls=${ETCD}`,
      `--advertise-client-urls=${ETCD}`,
      `--listen-peer-urls=${peer}`,
      `--initial-advertise-peer-urls=${peer}`,
      `--initial-cluster=default=${peer}`,
      "--log-level=warn",
    ]);
  }

  async #stopBoth(): Promise<void> {
    await this.stopServer();
    await this.#etcd?.stop();
  }

  #program(name: KubernetesProgram): string {
    const program = this.#options.programs.get(name);
    if (program === undefined) throw new Error(`${name} was not looked for`);
    return program;
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
