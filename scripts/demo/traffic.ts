/** Checks that packets arrive, as steps of the demo make them. */
import type { Cluster } from "../../test/support/cluster.ts";
import type { Pod } from "../../test/support/pods.ts";
import { startServer, TRANSFER_BYTES, transfer } from "../../test/support/tcp-transfer.ts";
import type { Report } from "./report.ts";

/** A host of the nodes' network that is no node. */
export const OUTSIDE = "192.168.50.1";
export const PORT = 8080;

/** A megabyte from one pod to another, once for each address that this one has. */
export async function carries(
  cluster: Cluster,
  report: Report,
  what: string,
  [from, to]: readonly [Pod, Pod],
): Promise<void> {
  for (const [index, address] of to.addresses.entries()) {
    const source = await throughTcp(cluster, from.label, to.label, address);
    const name = `${what}: ${TRANSFER_BYTES} bytes over TCP, seen from the pod's own address`;
    report.check(name, source === from.addresses[index], source);
  }
}

/** The source address as the server saw it, or why it did not work. */
export async function throughTcp(
  cluster: Cluster,
  from: string,
  to: string,
  address: string,
): Promise<string> {
  const server = await startServer(cluster.namespaces, to, address, PORT);
  try {
    return await transfer(cluster.namespaces, from, address, PORT);
  } finally {
    await server.stop();
  }
}
