/**
 * The peers of the speaker that are Nodes, followed change by change: each follows from its own
 * Node and from what all have in common, so that one Node that comes or goes is one peer. What
 * concerns more than that is planned as a whole: see bgp-plan.ts. Pure.
 */
import type { PeerConfig } from "../bgp/types.ts";
import type { IpAddress } from "../ip/address.ts";
import type { Topology } from "../k8s/topology.ts";
import type { TopologyChange } from "../k8s/topology-step.ts";
import type { Mesh } from "./mesh.ts";

/** What the speaker is to be told: these in place of what was there, those not any more. */
export interface PeersChange {
  readonly put: readonly PeerConfig[];
  readonly gone: readonly IpAddress[];
}

export class NodePeers {
  readonly #mesh: Mesh;
  readonly #taken: ReadonlySet<IpAddress>;
  /** Where the session with a Node goes, by its name. */
  readonly #addresses = new Map<string, IpAddress>();
  /** Some Node is a peer by other means, which is a problem that may come and go. */
  #contested = false;

  /** `taken`: addresses of peers that are named elsewhere, which goes before. */
  constructor(peers: Topology["peers"], mesh: Mesh, taken: ReadonlySet<IpAddress>) {
    this.#mesh = mesh;
    this.#taken = taken;
    this.change(new Map(peers.map((peer) => [peer.name, peer])));
  }

  /** Undefined = all peers are to be planned anew. */
  change(changed: TopologyChange["peers"]): PeersChange | undefined {
    const put: PeerConfig[] = [];
    const gone: IpAddress[] = [];
    for (const [name, node] of changed) {
      const known = this.#addresses.get(name);
      const peer = node === undefined ? undefined : this.#mesh(node);
      if (peer !== undefined) {
        if (this.#taken.has(peer.address)) this.#contested = true;
        put.push(peer);
        this.#addresses.set(name, peer.address);
      } else {
        this.#addresses.delete(name);
      }
      if (known !== undefined && known !== peer?.address) gone.push(known);
    }
    return this.#contested ? undefined : { put, gone };
  }
}
