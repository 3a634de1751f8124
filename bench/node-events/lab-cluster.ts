/** The cluster of the bench in numbers: addresses, pod CIDRs and objects of Node number n. */
import type { IpAddress } from "../../src/ip/address.ts";
import { ip } from "../../test/support/speakers.ts";

/** The agent under test; all others are played by the driver. */
export const SELF_NAME = "node0";
/** Above the addresses of odd Nodes and below those of even ones. */
export const SELF_ADDRESS = "198.18.255.1";
/** Where the API server listens, in the driver's namespace. */
export const API_ADDRESS = "198.18.255.2";
/** Where the addresses of all other Nodes are. */
export const NODE_SUBNETS = ["198.18.0.0/19", "198.19.0.0/19"] as const;
export const API_PORT = 6443;
export const SUBNET_LENGTH = 15;
/** Beyond: the second byte of a /24 is used up. */
export const NODES_MAX = 8_192;

export function nodeName(n: number): string {
  return n === 0 ? SELF_NAME : `node${n}`;
}

export function nodeAddress(n: number): IpAddress {
  return ip(n === 0 ? SELF_ADDRESS : `198.${19 - (n & 1)}.${n >> 8}.${n & 255}`);
}

/** Whether it is the agent whose identifier is the higher one: who dials first. */
export function agentDialsFirst(n: number): boolean {
  return n % 2 === 1;
}

/** Node number of a peer's address. */
export function nodeOfAddress(address: string): number {
  const [, , high, low] = ip(address).split(".").map(Number);
  return ((high ?? 0) << 8) | (low ?? 0);
}

/** Each Node has two pod CIDRs to change between. */
export function podCidr(n: number, generation: number): string {
  return `10.${(generation % 2) * 64 + 64 + (n >> 8)}.${n & 255}.0/24`;
}

/** A Node object of about the size that kubelet gives it: most of it is of no use to an agent. */
export function nodeObject(n: number, generation: number): Record<string, unknown> {
  const cidr = podCidr(n, generation);
  const name = nodeName(n);
  return {
    apiVersion: "v1",
    kind: "Node",
    metadata: {
      name,
      labels: { "kubernetes.io/hostname": name, "kubernetes.io/os": "linux" },
      annotations: { "volumes.kubernetes.io/controller-managed-attach-detach": "true" },
    },
    spec: { podCIDR: cidr, podCIDRs: [cidr] },
    status: {
      addresses: [
        { type: "InternalIP", address: nodeAddress(n) },
        { type: "Hostname", address: name },
      ],
      conditions: ["MemoryPressure", "DiskPressure", "PIDPressure", "Ready"].map((type) => ({
        type,
        status: type === "Ready" ? "True" : "False",
        reason: "KubeletReported",
        message: "kubelet has nothing to complain about",
      })),
      images: Array.from({ length: 50 }, (_, i) => ({
        names: [
          `registry.example/library/image-${i}@sha256:${String(i).padStart(64, "0")}`,
          `registry.example/library/image-${i}:v1.${i}.0`,
        ],
        sizeBytes: 10_000_000 + i,
      })),
    },
  };
}
