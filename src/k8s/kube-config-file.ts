/**
 * The text of a kubeconfig → what its current context names, in the form of the client library.
 * Not by the library's own reader, which knows no merge keys, takes one of two users of a name,
 * reads files that no other client would (`token-file`), and refuses a file for what the current
 * context has nothing to do with. The rules are client-go's: tools/clientcmd, api/v1/types.go.
 */
import { resolve } from "node:path";
import type { Cluster, User } from "@kubernetes/client-node";
import { LineCounter } from "yaml";
import { isJsonObject, type JsonObject } from "../runtime/json.ts";
import { ALIAS_PROBLEM, valuesOf, yamlDocument } from "../runtime/yaml.ts";
import { quoted } from "./problem.ts";

/** What the current context of a kubeconfig names. */
export interface KubeConfigFile {
  readonly context: string;
  readonly cluster: Cluster;
  /** Its name is empty where the context names none. */
  readonly user: User;
  /** Both as they are written, for what the library has no field for. */
  readonly written: { readonly cluster: JsonObject; readonly user: JsonObject };
}

/** Fields that are text, by the library's names of them; in `…-data`, base64. */
const CLUSTER_TEXTS = {
  server: "server",
  caFile: "certificate-authority",
  caData: "certificate-authority-data",
  tlsServerName: "tls-server-name",
  proxyUrl: "proxy-url",
} as const;
const USER_TEXTS = {
  certFile: "client-certificate",
  certData: "client-certificate-data",
  keyFile: "client-key",
  keyData: "client-key-data",
  token: "token",
  tokenFile: "tokenFile",
  username: "username",
  password: "password",
} as const;
const CONTEXT_TEXTS = { cluster: "cluster", user: "user" } as const;
/** Fields that are true or false. */
const CLUSTER_FLAGS = ["insecure-skip-tls-verify", "disable-compression"];

/** Schemes of a proxy, the library's own among them. */
const PROXIES = /^(?:https?|socks(?:4a?|5h?)?):$/;

/** As Go reads it: padded, and line ends mean nothing. */
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

/**
 * Paths are of `folder`, the kubeconfig's. Throws an error with one sentence, which names the field
 * and no value but names of entries and a proxy without its password.
 */
export function parseKubeConfig(text: string, folder: string): KubeConfigFile {
  const config = contentOf(text);
  if (!isJsonObject(config)) throw new Error("is not a kubeconfig");
  const clusters = entriesOf(config, "clusters", "cluster", CLUSTER_TEXTS, CLUSTER_FLAGS);
  const users = entriesOf(config, "users", "user", USER_TEXTS);
  const context = currentContext(config);
  const { cluster: clusterName, user: userName } = textsOf(context.content, CONTEXT_TEXTS);
  if (clusterName === undefined) throw new Error(`${context.place}.cluster is missing`);
  const cluster = clusters.find(({ name }) => name === clusterName);
  if (cluster === undefined) throw new Error(`its cluster ${quoted(clusterName)} is not defined`);
  // A context that names no user is somebody's who is nobody.
  const user = userName === undefined ? NOBODY : users.find(({ name }) => name === userName);
  if (user === undefined) throw new Error(`its user ${quoted(userName)} is not defined`);
  return {
    context: context.name,
    cluster: clusterOf(cluster, folder),
    user: userOf(user, folder),
    written: { cluster: cluster.content, user: user.content },
  };
}

/** An entry of one of the lists, whose content is below the key that `place` ends with. */
interface Entry {
  readonly place: string;
  readonly name: string;
  readonly content: JsonObject;
}

const NOBODY: Entry = { place: "", name: "", content: {} };

function contentOf(text: string): unknown {
  const lineCounter = new LineCounter();
  const document = yamlDocument(text, lineCounter);
  const error = document.errors[0];
  if (error !== undefined) {
    const { line, col } = lineCounter.linePos(error.pos[0]);
    throw new Error(`is not YAML: line ${line}, column ${col} (${error.code})`);
  }
  try {
    return valuesOf([document])[0];
  } catch {
    throw new Error(`is not YAML: ${ALIAS_PROBLEM}`);
  }
}

function currentContext(config: JsonObject): Entry {
  const contexts = entriesOf(config, "contexts", "context", CONTEXT_TEXTS);
  const current = config["current-context"] ?? "";
  const context = contexts.find(({ name }) => name === current);
  if (context !== undefined) return context;
  const known = contexts.length === 0 ? "there are no contexts" : `there are ${contexts.length}`;
  const problem =
    current === ""
      ? "has no current-context"
      : `current-context ${quoted(current)} is not one of its contexts`;
  throw new Error(`${problem} (${known})`);
}

/** All of a list, the current one or not, with fields of the right kind. */
function entriesOf(
  config: JsonObject,
  list: string,
  key: string,
  texts: Readonly<Record<string, string>>,
  flags: readonly string[] = [],
): readonly Entry[] {
  const entries = config[list] ?? [];
  if (!Array.isArray(entries)) throw new Error(`${list} is not a list`);
  const names = new Set<string>();
  return (entries as readonly unknown[]).map((entry, i) => {
    const { name, [key]: below } = mapping(entry, `${list}[${i}]`);
    if (name === undefined || name === null || name === "") {
      throw new Error(`${list}[${i}].name is missing`);
    }
    if (typeof name !== "string") throw new Error(`${list}[${i}].name is not text`);
    // Of two client-go takes neither.
    if (names.has(name)) throw new Error(`${list}[${i}].name ${quoted(name)} is there already`);
    names.add(name);
    const place = `${list}[${i}].${key}`;
    const content = mapping(below, place);
    for (const field of Object.values(texts)) checkText(content[field], `${place}.${field}`);
    for (const field of flags) {
      if (typeof (content[field] ?? false) === "boolean") continue;
      throw new Error(`${place}.${field} is neither true nor false`);
    }
    return { place, name, content };
  });
}

/** What is left out, or written as null, has nothing in it. */
function mapping(value: unknown, place: string): JsonObject {
  const content = value ?? {};
  if (!isJsonObject(content)) throw new Error(`${place} is not a mapping`);
  return content;
}

function checkText(value: unknown, place: string): void {
  const text = value ?? "";
  if (typeof text !== "string") throw new Error(`${place} is not text`);
  if (place.endsWith("-data") && !BASE64.test(text.replaceAll(/[\r\n]/g, ""))) {
    throw new Error(`${place} is not base64`);
  }
}

/** Those of the fields that say something. */
function textsOf<Key extends string>(
  content: JsonObject,
  fields: Readonly<Record<Key, string>>,
): Partial<Record<Key, string>> {
  const texts: Partial<Record<Key, string>> = {};
  for (const key in fields) {
    const text = content[fields[key]];
    if (typeof text === "string" && text !== "") texts[key] = text;
  }
  return texts;
}

function clusterOf({ place, name, content }: Entry, folder: string): Cluster {
  const { server, caFile, proxyUrl, ...texts } = textsOf(content, CLUSTER_TEXTS);
  if (server === undefined) throw new Error(`${place}.server is missing`);
  return {
    name,
    ...texts,
    ...(proxyUrl === undefined ? {} : { proxyUrl: proxyOf(proxyUrl, `${place}.proxy-url`) }),
    server: server.replace(/\/$/, ""),
    ...(caFile === undefined ? {} : { caFile: resolve(folder, caFile) }),
    skipTLSVerify: content["insecure-skip-tls-verify"] === true,
  };
}

/** With the scheme in small letters, as the library looks for it. */
function proxyOf(text: string, place: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url !== undefined && PROXIES.test(url.protocol)) return url.href;
  throw new Error(`${place} ${quoted(text)} is not an http, https or socks5 URL`);
}

/** The library knows a token's file only as it makes it for a pod. It goes before the `token`. */
function userOf({ place, name, content }: Entry, folder: string): User {
  const { certFile, keyFile, token, tokenFile, username, password, ...texts } = textsOf(
    content,
    USER_TEXTS,
  );
  const [cert, key] = [certFile ?? texts.certData, keyFile ?? texts.keyData];
  if (cert !== undefined && key === undefined && !content["exec"]) {
    throw new Error(`${place} has a client certificate without its key`);
  }
  return {
    name,
    ...texts,
    ...(certFile === undefined ? {} : { certFile: resolve(folder, certFile) }),
    ...(keyFile === undefined ? {} : { keyFile: resolve(folder, keyFile) }),
    // Else the library would send the word undefined.
    ...(username === undefined ? {} : { username, password: password ?? "" }),
    ...(token === undefined || tokenFile !== undefined ? {} : { token }),
    exec: content["exec"],
    authProvider:
      tokenFile === undefined
        ? providerOf(content["auth-provider"], `${place}.auth-provider`)
        : { name: "tokenFile", config: { tokenFile: resolve(folder, tokenFile) } },
  };
}

function providerOf(value: unknown, place: string): unknown {
  if (value === undefined || value === null) return undefined;
  mapping(mapping(value, place)["config"], `${place}.config`);
  return value;
}
