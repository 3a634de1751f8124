/**
 * Fields of a kubeconfig that are to be text. The library takes them as they are, and throws where
 * it uses one, in words of Node.js that repeat what stands there. Pure.
 */
import type { KubeConfig } from "@kubernetes/client-node";

/** Fields by their names in the file; each with the library's name. */
const CLUSTER_TEXTS = {
  "certificate-authority": "caFile",
  "certificate-authority-data": "caData",
  "tls-server-name": "tlsServerName",
  "proxy-url": "proxyUrl",
};
const USER_TEXTS = {
  "client-certificate": "certFile",
  "client-certificate-data": "certData",
  "client-key": "keyFile",
  "client-key-data": "keyData",
  token: "token",
  username: "username",
  password: "password",
};

/** The first that is something else: `clusters[0].cluster.proxy-url`. */
export function fieldWithoutText({ clusters, users }: KubeConfig): string | undefined {
  const entries = [
    ...clusters.map((cluster, i) => [`clusters[${i}].cluster`, cluster, CLUSTER_TEXTS] as const),
    ...users.map((user, i) => [`users[${i}].user`, user, USER_TEXTS] as const),
  ];
  for (const [place, entry, texts] of entries) {
    for (const [field, key] of Object.entries(texts)) {
      const value: unknown = Reflect.get(entry, key) ?? "";
      if (typeof value !== "string") return `${place}.${field}`;
    }
  }
  return undefined;
}
