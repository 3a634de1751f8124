/**
 * How to reach the API server and who we are there: a kubeconfig (kube-config-file.ts), or the
 * service account of the pod. The client library makes the credentials (auth providers, what the
 * file holds itself) but for what is in other files, which rotate, and plugins
 * (credential-plugin.ts). It has no other user.
 */
import type { RequestOptions } from "node:https";
import { dirname, join } from "node:path";
import { KubeConfig } from "@kubernetes/client-node";
import type { Clock } from "../runtime/clock.ts";
import { FileError, fileExists, readText, readTextNow } from "../runtime/files.ts";
import { isJsonObject } from "../runtime/json.ts";
import { messageOf, printable } from "../runtime/operator-text.ts";
import { systemClock } from "../runtime/system-clock.ts";
import { CredentialPlugin, clusterInfo, needsNoPlugin } from "./credential-plugin.ts";
import { type ImpersonationHeaders, impersonationHeaders } from "./impersonation.ts";
import { type KubeConfigFile, parseKubeConfig } from "./kube-config-file.ts";
import {
  KUBECONFIG_BYTES_MAX,
  PROXY_MS_MAX,
  TLS_FILE_BYTES_MAX,
  TOKEN_BYTES_MAX,
} from "./limits.ts";
import { oneAtATime } from "./one-at-a-time.ts";
import { quoted } from "./problem.ts";
import { type TlsFiles, takeTlsFiles } from "./tls-files.ts";

/** Names the flag or file and what is wrong with it. */
export class KubeConfigError extends Error {}

export interface KubeConfigOptions {
  /** `--kubeconfig`; without it and without `master`, the pod's service account. */
  readonly kubeconfig: string | undefined;
  /** `--master`: replaces the server's URL; alone it is asked without credentials. */
  readonly master?: string | undefined;
  /** For tests: where the service account's files and variables are. */
  readonly root?: string;
  readonly environment?: Readonly<Record<string, string | undefined>>;
  readonly clock?: Clock;
}

/** Access to one API server. */
export interface KubeAccess {
  readonly server: URL;
  /** TLS options and headers for a request now. May read files and run a credential plugin. */
  requestOptions(): Promise<RequestOptions>;
  /** They were not taken (401, a TLS alert): what a credential plugin gave is not used again. */
  refused(): void;
  /** For a server without TLS: one sentence on what is not used there; absent = everything is. */
  readonly withheld?: string;
}

/** Auth providers that the library knows by name. */
const PROVIDERS: ReadonlySet<unknown> = new Set(["azure", "exec", "gcp", "oidc"]);

const SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount";

/** Reads the configuration; throws {@link KubeConfigError}. */
export function loadKubeAccess(options: KubeConfigOptions): KubeAccess {
  const found = configOf(options);
  const { config: read, written } = found;
  let config = read;
  const where = options.kubeconfig ?? "the service account";
  const server = serverUrl(read, where, options.master);
  const clock = options.clock ?? systemClock;
  const withheld = withhold(read, server, options.master);
  checkProvider(read, options.kubeconfig);
  const tokenFile = takeTokenFile(read);
  const plugin = takePlugin(read, written, options, tokenFile !== undefined, clock);
  const impersonated = impersonation(found, options.kubeconfig);
  const tlsFiles = takeTlsFiles(read);
  const refused = () => {
    config = withoutMemory(config);
    plugin?.refused();
  };
  const make = async () => {
    try {
      const made = await requestOptions(config, tokenFile, tlsFiles, plugin);
      return { ...made, headers: { ...made.headers, ...impersonated } };
    } catch (error) {
      refused();
      throw error;
    }
  };
  const access = { server, requestOptions: oneAtATime(make, clock), refused };
  return withheld === undefined ? access : { ...access, withheld };
}

/** The same, without what the library keeps of an auth provider, be it of any use or not. */
function withoutMemory({ clusters, contexts, users, currentContext }: KubeConfig): KubeConfig {
  const config = new KubeConfig();
  config.loadFromOptions({ clusters, contexts, users, currentContext });
  return config;
}

interface ReadConfig {
  readonly config: KubeConfig;
  /** Of a kubeconfig. */
  readonly written?: KubeConfigFile["written"];
}

function configOf(options: KubeConfigOptions): ReadConfig {
  if (options.kubeconfig !== undefined) return fromFile(options.kubeconfig);
  return { config: withoutFile(options) };
}

function withoutFile(options: KubeConfigOptions): KubeConfig {
  if (options.master === undefined) {
    return inCluster(options.root ?? "", options.environment ?? process.env);
  }
  // As in kube-router, a server by itself is asked without credentials.
  const config = new KubeConfig();
  const server = options.master;
  const cluster = { name: "master", server, skipTLSVerify: false };
  config.loadFromClusterAndUser(cluster, { name: "anonymous" });
  return config;
}

function fromFile(file: string): ReadConfig {
  let text: string;
  try {
    text = readTextNow(file, KUBECONFIG_BYTES_MAX);
  } catch (error) {
    const reason = error instanceof FileError ? error.message : file;
    throw new KubeConfigError(`--kubeconfig ${reason}`, { cause: error });
  }
  let read: KubeConfigFile;
  try {
    read = parseKubeConfig(text, dirname(file));
  } catch (error) {
    throw new KubeConfigError(`--kubeconfig ${file}: ${messageOf(error)}`);
  }
  const { context: name, cluster, user, written } = read;
  const config = new KubeConfig();
  config.loadFromOptions({
    clusters: [cluster],
    users: [user],
    contexts: [{ name, cluster: cluster.name, user: user.name }],
    currentContext: name,
  });
  return { config, written };
}

function inCluster(
  root: string,
  environment: Readonly<Record<string, string | undefined>>,
): KubeConfig {
  const missing = ["KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"].find(
    (name) => !environment[name],
  );
  const files = (
    [
      ["token", TOKEN_BYTES_MAX],
      ["ca.crt", TLS_FILE_BYTES_MAX],
    ] as const
  ).map(([name, bytesMax]) => ({ file: join(root, SERVICE_ACCOUNT, name), bytesMax }));
  const absent = files.find(({ file }) => !fileExists(file))?.file;
  const reason = missing === undefined ? absent && `${absent} is missing` : `${missing} is not set`;
  if (reason !== undefined) {
    throw new KubeConfigError(
      `not in a cluster (${reason}): give --kubeconfig FILE, or --nodes-file FILE to do without ` +
        "an API server",
    );
  }
  // Mounted halfway: each request would fail, and say so far from here.
  try {
    for (const { file, bytesMax } of files) filled(file, readTextNow(file, bytesMax));
  } catch (error) {
    throw new KubeConfigError(`the service account: ${messageOf(error)}`, { cause: error });
  }
  const config = new KubeConfig();
  config.loadFromCluster(root);
  const host = environment["KUBERNETES_SERVICE_HOST"] ?? "";
  const authority = host.includes(":") ? `[${host}]` : host;
  const server = `https://${authority}:${environment["KUBERNETES_SERVICE_PORT"]}`;
  config.clusters = config.clusters.map((cluster) => ({ ...cluster, server }));
  return config;
}

function serverUrl(config: KubeConfig, where: string, master: string | undefined): URL {
  const cluster = config.getCurrentCluster();
  const text = master ?? cluster?.server ?? "";
  const named = master === undefined ? `${where}: its server` : "--master";
  if (!URL.canParse(text) || !/^https?:$/.test(new URL(text).protocol)) {
    throw new KubeConfigError(`${named} ${quoted(text)} is not an http or https URL`);
  }
  const url = new URL(text);
  if (url.username !== "" || url.password !== "") {
    throw new KubeConfigError(`${named} must not hold a user name or password`);
  }
  const skips = cluster?.skipTLSVerify === true;
  // Else nothing would be verified where somebody gave what to verify with.
  if (skips && url.protocol === "https:" && (cluster.caData || cluster.caFile)) {
    const problem = "has a CA and insecure-skip-tls-verify, which exclude each other";
    throw new KubeConfigError(`${where}: its cluster ${quoted(cluster.name)} ${problem}`);
  }
  // The library refuses plain http unless told to skip the verification that http has not.
  const skipTLSVerify = url.protocol === "http:" || skips;
  config.clusters = config.clusters.map((each) => {
    if (each !== cluster) return each;
    const { tlsServerName, ...rest } = each;
    // The name is of the server that is written beside it.
    const name = master === undefined && tlsServerName !== undefined ? { tlsServerName } : {};
    return { ...rest, ...name, server: url.href, skipTLSVerify };
  });
  return url;
}

/**
 * Over plain http everybody on the way could take the credentials for theirs: as client-go does it
 * (ClientConfig of tools/clientcmd), they are used for https alone, and of the CA there is no use.
 * Whom it is taken for (impersonation) is said all the same, which is no secret.
 */
function withhold(config: KubeConfig, server: URL, master: string | undefined): string | undefined {
  if (server.protocol === "https:") return undefined;
  const { user: name = "" } = config.getContextObject(config.currentContext) ?? {};
  const [user, cluster] = [config.getCurrentUser(), config.getCurrentCluster()];
  config.users = [{ name }];
  config.clusters = config.clusters.map((each) => {
    if (each !== cluster) return each;
    const { caFile: _, caData: __, ...rest } = each;
    return rest;
  });
  const { name: ___, ...credentials } = user ?? { name };
  if (!Object.values(credentials).some(Boolean)) return undefined;
  const context = quoted(config.currentContext);
  const named = master === undefined ? `the server of context ${context}` : "--master";
  const what = `what its user ${quoted(name)} has to say who it is`;
  const kinds = "(token, password, plugin, certificate)";
  return `${named}, ${server.origin}, is without TLS: ${what} ${kinds} is not used, as by kubectl`;
}

/** One that the library does not know it would pass over, and ask as nobody. */
function checkProvider(config: KubeConfig, kubeconfig: string | undefined): void {
  const user = config.getCurrentUser();
  if (!user?.authProvider) return;
  const { name, config: known } = user.authProvider;
  // Known by what they have, as the library makes them.
  if (PROVIDERS.has(name) || known?.exec || known?.tokenFile) return;
  const provider = `auth-provider ${quoted(name)} is none of azure, exec, gcp and oidc`;
  const named = `its user ${quoted(user.name)}`;
  throw new KubeConfigError(`--kubeconfig ${kubeconfig}: ${named}: ${provider}`);
}

/**
 * The file of the current user's token, which the library then no longer has: it would read it
 * again only once the clock is a minute further, so after a 401 not at once, and not for as long
 * as a clock is set back. A request that needs one comes every few minutes.
 */
function takeTokenFile(config: KubeConfig): string | undefined {
  const user = config.getCurrentUser();
  const tokenFile: unknown = user?.authProvider?.config?.tokenFile;
  if (typeof tokenFile !== "string") return undefined;
  config.users = config.users.map((each) => {
    if (each !== user) return each;
    const { authProvider: _, ...rest } = each;
    return rest;
  });
  return tokenFile;
}

/** The plugin of the current user, which the library then no longer has. */
function takePlugin(
  config: KubeConfig,
  written: KubeConfigFile["written"] | undefined,
  { kubeconfig = "", master }: KubeConfigOptions,
  hasToken: boolean,
  clock: Clock,
): CredentialPlugin | undefined {
  const user = config.getCurrentUser();
  const exec: unknown = user?.exec;
  if (user === null || exec === undefined || exec === null) return undefined;
  config.users = config.users.map((each) => {
    if (each !== user) return each;
    const { exec: _, authProvider: __, ...rest } = each;
    return rest;
  });
  if (hasToken || needsNoPlugin(user)) return undefined;
  const folder = dirname(kubeconfig);
  const isTold = isJsonObject(exec) && exec["provideClusterInfo"] === true;
  const cluster = written?.cluster;
  const told = isTold && cluster !== undefined ? clusterInfo(cluster, folder, master) : undefined;
  try {
    return new CredentialPlugin(exec, folder, told, clock);
  } catch (error) {
    const named = `its user ${quoted(user.name)}`;
    throw new KubeConfigError(`--kubeconfig ${kubeconfig}: ${named}: ${messageOf(error)}`);
  }
}

function impersonation(
  { written, config }: ReadConfig,
  kubeconfig: string | undefined,
): ImpersonationHeaders {
  try {
    return impersonationHeaders(written?.user ?? {});
  } catch (error) {
    const named = `its user ${quoted(config.getCurrentUser()?.name)}`;
    throw new KubeConfigError(`--kubeconfig ${kubeconfig}: ${named}: ${messageOf(error)}`);
  }
}

async function requestOptions(
  config: KubeConfig,
  tokenFile: string | undefined,
  tlsFiles: TlsFiles,
  plugin: CredentialPlugin | undefined,
): Promise<RequestOptions> {
  const isProxied = config.getCurrentCluster()?.proxyUrl !== undefined;
  const options: RequestOptions = isProxied ? { timeout: PROXY_MS_MAX } : {};
  await config.applyToHTTPSOptions(options);
  for (const [option, file] of tlsFiles)
    options[option] = await readFilled(file, TLS_FILE_BYTES_MAX);
  const given = await plugin?.credential();
  if (given?.cert !== undefined) Object.assign(options, { cert: given.cert, key: given.key });
  const token =
    tokenFile === undefined ? given?.token : await readFilled(tokenFile, TOKEN_BYTES_MAX);
  if (token !== undefined) {
    options.headers = { ...options.headers, Authorization: `Bearer ${token}` };
  }
  trimToken(options);
  const { agent, ...rest } = options;
  // The library's agent would hold on to the certificates of its first use: ours is given per
  // request, and that of a proxy has them anew.
  if (!isProxied) return rest;
  const { ca, cert, key } = options;
  const { options: ofAgent } = agent as { readonly options?: object };
  if (ofAgent !== undefined) Object.assign(ofAgent, { ca, cert, key });
  return options;
}

async function readFilled(file: string, bytesMax: number): Promise<string> {
  return filled(file, await readText(file, bytesMax));
}

function filled(file: string, text: string): string {
  // Of a token the server would say no more than 401, and without a CA the system's would do.
  if (text.trim() === "") throw new FileError(file, "is empty");
  return text;
}

/** A token file written by hand ends with a line feed, which no header may hold. */
function trimToken({ headers }: RequestOptions): void {
  if (headers === undefined || Array.isArray(headers)) return;
  const { Authorization } = headers as { Authorization?: unknown };
  if (typeof Authorization === "string")
    Object.assign(headers, { Authorization: Authorization.trim() });
}

/** Why credentials could not be made, without what looks like one. */
export function credentialProblem(error: unknown): string {
  // Ours, with the path: it may well look like a token.
  if (error instanceof FileError) return printable(error.message);
  // The library's, of the program of an auth provider, likewise.
  const { path, code } = error as NodeJS.ErrnoException;
  if (path !== undefined && code !== undefined) return printable(new FileError(path, code).message);
  // A program's output, which the message repeats: it may well be the token by itself.
  if (error instanceof SyntaxError) return "what the credential plugin printed is not JSON";
  const message = messageOf(error);
  const line = message.trim().split("\n")[0] ?? "";
  return printable(line.replaceAll(/[-\w+/=.]{32,}/g, "…").slice(0, 200)) || "no reason given";
}
