/** CAs, certificate and key of a kubeconfig or a service account, as far as they are in files. */
import type { KubeConfig } from "@kubernetes/client-node";

/** Paths by the option of TLS that what is in them is for. */
export type TlsFiles = ReadonlyMap<"ca" | "cert" | "key", string>;

/**
 * The files of the current cluster and user, which the library then no longer has: it would hold
 * up everything for as long as one takes to read, be it a pipe or without end.
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
  const files = { ca: cluster?.caFile, cert: user?.certFile, key: user?.keyFile };
  return new Map(
    (["ca", "cert", "key"] as const).flatMap((option) => {
      const file = files[option];
      return file ? [[option, file] as const] : [];
    }),
  );
}
