/** CAs, certificate and key of a kubeconfig or a service account, as far as they are in files. */
import type { KubeConfig } from "@kubernetes/client-node";

/** Paths by the option of TLS that what is in them is for. */
export type TlsFiles = ReadonlyMap<"ca" | "cert" | "key", string>;

/**
 * The files of the current cluster and user, which the library then no longer has: it would hold
 * up everything for as long as one takes to read, be it a pipe or without end. And it would prefer
 * them to what stands in the kubeconfig itself, which overrides them (`…-data`).
 */
export function takeTlsFiles(config: KubeConfig): TlsFiles {
  const [cluster, user] = [config.getCurrentCluster(), config.getCurrentUser()];
  config.clusters = config.clusters.map((each) => {
    if (each !== cluster) return each;
    const { caFile: _, ...rest } = each;
    return rest;
  });
  config.users = config.users.map((each) => {
    if (each !== user) return each;
    const { certFile: _, keyFile: __, ...rest } = each;
    return rest;
  });
  const named = [
    ["ca", cluster?.caFile, cluster?.caData],
    ["cert", user?.certFile, user?.certData],
    ["key", user?.keyFile, user?.keyData],
  ] as const;
  return new Map(
    named.flatMap(([option, file, data]) => (file && !data ? [[option, file] as const] : [])),
  );
}
