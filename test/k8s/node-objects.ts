/** Node objects as the API serves them, for tests of this folder. */
import assert from "node:assert/strict";
import { type NodeSnapshot, nodeSnapshot } from "../../src/k8s/node-snapshot.ts";

export interface NodeParts {
  readonly internal?: string | readonly string[];
  readonly external?: string | readonly string[];
  readonly cidrs?: readonly string[];
  readonly annotations?: Readonly<Record<string, string>>;
  readonly created?: string;
  readonly uid?: string;
}

/** A Node object with what the parts say; annotations are named without `kube-router.io/`. */
export function nodeObject(name: string, parts: NodeParts = {}): Record<string, unknown> {
  const annotations = Object.entries(parts.annotations ?? {}).map(
    ([key, value]) => [`kube-router.io/${key}`, value] as const,
  );
  const addresses = [
    ...[parts.internal ?? []].flat().map((address) => ({ type: "InternalIP", address })),
    ...[parts.external ?? []].flat().map((address) => ({ type: "ExternalIP", address })),
    { type: "Hostname", address: name },
  ];
  return {
    apiVersion: "v1",
    kind: "Node",
    metadata: {
      name,
      uid: parts.uid ?? `uid-${name}`,
      creationTimestamp: parts.created ?? "2023-07-27T02:57:51Z",
      annotations: Object.fromEntries([["node.alpha.kubernetes.io/ttl", "0"], ...annotations]),
    },
    spec: parts.cidrs === undefined ? {} : { podCIDR: parts.cidrs[0], podCIDRs: [...parts.cidrs] },
    status: { addresses },
  };
}

/** The snapshot of a Node object that must not be rejected. */
export function snapshotOf(object: unknown): NodeSnapshot {
  const snapshot = nodeSnapshot(object);
  assert.ok(!("rejected" in snapshot), JSON.stringify(snapshot));
  return snapshot;
}

export function snapshot(name: string, parts: NodeParts = {}): NodeSnapshot {
  return snapshotOf(nodeObject(name, parts));
}

/** Nodes by name. */
export function nodeMap(...snapshots: NodeSnapshot[]): ReadonlyMap<string, NodeSnapshot> {
  return new Map(snapshots.map((node) => [node.name, node]));
}

/** The seed's three nodes. */
export const SEED = {
  node1: { internal: "192.168.50.50", cidrs: ["10.233.64.0/24"] },
  node2: { internal: "192.168.50.51", cidrs: ["10.233.65.0/24"] },
  node3: { internal: "192.168.50.52", cidrs: ["10.233.66.0/24"] },
} as const satisfies Record<string, NodeParts>;
