/**
 * Credential plugins of a kubeconfig (`exec`), as client-go runs them: "client-go credential
 * plugins" in Kubernetes' documentation of authentication, `client.authentication.k8s.io/v1`. Not
 * by the client library, whose own are not told of the cluster, wait for an input that never ends,
 * may print without bound, and end the agent where it has no file descriptor to spare.
 */
import { resolve } from "node:path";
import type { User } from "@kubernetes/client-node";
import type { Clock } from "../runtime/clock.ts";
import { FileError, readText } from "../runtime/files.ts";
import { isJsonObject, type JsonObject } from "../runtime/json.ts";
import { runToEnd } from "../runtime/program.ts";
import { CA_BYTES_MAX, PLUGIN_OUTPUT_BYTES_MAX } from "./limits.ts";
import { quoted } from "./problem.ts";

/** The extension of a cluster that holds what plugins are told of it. */
const CLUSTER_EXTENSION = "client.authentication.k8s.io/exec";

/** What a plugin gave: a token, or a certificate with its key (PEM), or both. */
export interface Credential {
  readonly token: string | undefined;
  readonly cert: string | undefined;
  readonly key: string | undefined;
  /** Of no use from then on, ms of wall clock; undefined = until it is refused. */
  readonly expires: number | undefined;
}

/** What a plugin is told of the cluster; made for each run, as a CA in a file may be another. */
export type ClusterInfo = () => Promise<JsonObject>;

interface Command {
  readonly program: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly apiVersion: unknown;
}

/** Whether the user has something that goes before a plugin, which is then not run. */
export function needsNoPlugin({ token, username, ...user }: User): boolean {
  const hasCertificate = Boolean(user.certData || user.certFile);
  const hasKey = Boolean(user.keyData || user.keyFile);
  return Boolean(token || username) || (hasCertificate && hasKey);
}

export class CredentialPlugin {
  readonly #command: Command;
  readonly #cluster: ClusterInfo | undefined;
  readonly #clock: Clock;
  #kept: Credential | undefined;

  /**
   * `exec`: how it is run; a command with a slash is of `folder`, that of the kubeconfig.
   * `cluster`: left out unless the plugin is to be told. Throws an error that names the field.
   */
  constructor(exec: unknown, folder: string, cluster: ClusterInfo | undefined, clock: Clock) {
    this.#command = commandOf(exec, folder);
    this.#cluster = cluster;
    this.#clock = clock;
  }

  /** What it gave last, or gives now; fails where that is no credential. */
  async credential(): Promise<Credential> {
    const kept = this.#kept;
    if (kept !== undefined && (kept.expires ?? Infinity) > this.#clock.wall()) return kept;
    this.#kept = undefined;
    this.#kept = credentialOf(await this.#run());
    return this.#kept;
  }

  /** What it gave is not used again. */
  refused(): void {
    this.#kept = undefined;
  }

  /** What it prints. It has no terminal: what it reads ends at once. */
  async #run(): Promise<string> {
    const { program, args, env, apiVersion } = this.#command;
    const cluster = await this.#cluster?.();
    const spec = { ...(cluster === undefined ? {} : { cluster }), interactive: false };
    const info = JSON.stringify({ kind: "ExecCredential", apiVersion, spec });
    const end = await runToEnd({
      program,
      args,
      env: { ...process.env, ...env, KUBERNETES_EXEC_INFO: info },
      input: "",
      bytesMax: PLUGIN_OUTPUT_BYTES_MAX,
      // A second one beside one that hangs would be no better: one-at-a-time.ts says so.
      msMax: undefined,
    });
    if (end.kind === "not-started") throw new FileError(program, end.error.code ?? "", end.error);
    if (end.kind === "cut-off") throw new Error(`the credential plugin was ${end.reason}`);
    if (end.status !== 0) throw new Error(end.stderr);
    return end.stdout;
  }
}

function commandOf(exec: unknown, folder: string): Command {
  if (!isJsonObject(exec)) throw new Error("exec is not an object");
  const { command, args, env, apiVersion, interactiveMode, provideClusterInfo } = exec;
  if (typeof command !== "string" || command === "") {
    throw new Error("exec.command is not a program");
  }
  const words: readonly unknown[] = Array.isArray(args) ? args : [];
  if (!isAbsent(args) && !Array.isArray(args)) throw new Error("exec.args is not a list");
  if (!words.every((word) => typeof word === "string")) {
    throw new Error("exec.args holds what is not text");
  }
  if (typeof (provideClusterInfo ?? false) !== "boolean") {
    throw new Error("exec.provideClusterInfo is neither true nor false");
  }
  if (interactiveMode === "Always") {
    throw new Error('exec.interactiveMode "Always": the agent has no terminal');
  }
  if (!isAbsent(interactiveMode) && !["", "Never", "IfAvailable"].includes(`${interactiveMode}`)) {
    const mode = quoted(`${interactiveMode}`);
    throw new Error(`exec.interactiveMode ${mode} is none of Never, IfAvailable and Always`);
  }
  const program = command.includes("/") ? resolve(folder, command) : command;
  return { program, args: words, env: variablesOf(env), apiVersion };
}

function variablesOf(env: unknown): Record<string, string> {
  if (isAbsent(env)) return {};
  if (!Array.isArray(env)) throw new Error("exec.env is not a list");
  const variables: Record<string, string> = {};
  for (const entry of env as readonly unknown[]) {
    const { name, value = "" } = isJsonObject(entry) ? entry : {};
    if (typeof name !== "string" || name === "" || typeof value !== "string") {
      throw new Error("exec.env holds what is no name with a value");
    }
    variables[name] = value;
  }
  return variables;
}

/** An absent field of a kubeconfig may be written as null. */
function isAbsent(value: unknown): boolean {
  return value === undefined || value === null;
}

function credentialOf(printed: string): Credential {
  const answer: unknown = JSON.parse(printed);
  const status = isJsonObject(answer) ? answer["status"] : undefined;
  if (!isJsonObject(status)) {
    throw new Error("what the credential plugin printed is not an ExecCredential");
  }
  const [token, cert, key] = ["token", "clientCertificateData", "clientKeyData"].map((name) => {
    const value = status[name];
    return typeof value === "string" && value.trim() !== "" ? value : undefined;
  });
  if (token === undefined && cert === undefined && key === undefined) {
    throw new Error("the credential plugin gave neither a token nor a client certificate");
  }
  if ((cert === undefined) !== (key === undefined)) {
    throw new Error("the credential plugin gave only one of a client certificate and its key");
  }
  const { expirationTimestamp } = status;
  const expires = isAbsent(expirationTimestamp) ? undefined : Date.parse(`${expirationTimestamp}`);
  if (Number.isNaN(expires)) {
    throw new Error("the credential plugin gave an expirationTimestamp that is no time");
  }
  return { token, cert, key, expires };
}

/**
 * What plugins are told of a `cluster` as it is written in a kubeconfig of that `folder`; `master`
 * takes the place of its server, to which then its tls-server-name does not belong.
 */
export function clusterInfo(
  cluster: JsonObject,
  folder: string,
  master: string | undefined,
): ClusterInfo {
  const { extensions } = cluster;
  const all: readonly unknown[] = Array.isArray(extensions) ? extensions : [];
  const own = all.filter(isJsonObject).find(({ name }) => name === CLUSTER_EXTENSION);
  const told = ["insecure-skip-tls-verify", "proxy-url", "disable-compression"];
  if (master === undefined) told.push("tls-server-name");
  const { "certificate-authority": file, "certificate-authority-data": data } = cluster;
  return async () => {
    const info: Record<string, unknown> = { server: master ?? cluster["server"] };
    for (const field of told) if (cluster[field]) info[field] = cluster[field];
    if (typeof data === "string" && data !== "") {
      info["certificate-authority-data"] = Buffer.from(data, "base64").toString("base64");
    } else if (typeof file === "string" && file !== "") {
      const ca = await readText(resolve(folder, file), CA_BYTES_MAX);
      info["certificate-authority-data"] = Buffer.from(ca).toString("base64");
    }
    // Where there is none, client-go says null.
    return { ...info, config: own?.["extension"] ?? null };
  };
}
