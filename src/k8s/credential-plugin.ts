/**
 * Credential plugins of a kubeconfig (`exec`), which the client library runs: what Kubernetes
 * promises them beyond what that does ("client-go credential plugins" in its documentation of
 * authentication), and what is no credential.
 */
import type { RequestOptions } from "node:https";
import { resolve } from "node:path";
import type { KubeConfig, User } from "@kubernetes/client-node";
import { isJsonObject, type JsonObject } from "../runtime/json.ts";

/** How the plugin of the current user is run; undefined where there is none. */
function pluginOf(user: User | null): JsonObject | undefined {
  const exec: unknown = user?.exec;
  return isJsonObject(exec) ? exec : undefined;
}

/**
 * The users, whose plugins are told what is asked of them (KUBERNETES_EXEC_INFO), and whose command
 * with a slash in it is of the `folder` of the kubeconfig.
 */
export function withPluginRules({ users }: KubeConfig, folder: string): User[] {
  return users.map((user) => {
    const exec = pluginOf(user);
    const command = exec?.["command"];
    if (exec === undefined || typeof command !== "string") return user;
    const { apiVersion } = exec;
    const info = { kind: "ExecCredential", apiVersion, spec: { interactive: false } };
    const told = { name: "KUBERNETES_EXEC_INFO", value: JSON.stringify(info) };
    const env = Array.isArray(exec["env"]) ? exec["env"] : [];
    const path = command.includes("/") ? resolve(folder, command) : command;
    return { ...user, exec: { ...exec, command: path, env: [...env, told] } };
  });
}

/** Adds credentials to `options`; fails where a plugin printed none. */
export async function applyCredentials(config: KubeConfig, options: RequestOptions): Promise<void> {
  const isPlugin = pluginOf(config.getCurrentUser()) !== undefined;
  try {
    await config.applyToHTTPSOptions(options);
  } catch (error) {
    // The library looks into what was printed without a look at what it is.
    const isOutput = isPlugin && error instanceof TypeError && !("code" in error);
    if (isOutput) throw new Error("what the credential plugin printed is not an ExecCredential");
    throw error;
  }
  const { Authorization } = (options.headers ?? {}) as { Authorization?: unknown };
  if (isPlugin && Authorization === undefined && options.cert === undefined) {
    throw new Error("the credential plugin gave neither a token nor a client certificate");
  }
}
