/**
 * What BGP is to do, all of it, from the Nodes and the settings: a pure function that is run again
 * on every change. The speaker takes the result and applies the difference.
 */
import type { OriginatedRoute, PeerConfig, SpeakerConfig } from "../bgp/types.ts";
import type { Topology } from "../k8s/topology.ts";
import type { AgentConfig } from "./config.ts";
import { listenAddresses, meshPeers, ownAs, ownRoutes, routerIdOf } from "./mesh.ts";

export interface BgpPlan {
  readonly speaker: SpeakerConfig;
  readonly peers: readonly PeerConfig[];
  readonly routes: readonly OriginatedRoute[];
}

/** The plan, or why there can be none yet. */
export type BgpPlanned =
  | { readonly ok: true; readonly plan: BgpPlan }
  | { readonly ok: false; readonly reason: string };

/**
 * `restarted`: routes of an earlier run were found in the kernel, so that forwarding went on.
 *
 * Without an own Node nobody is peered and nothing announced: the other Nodes drop us at the same
 * event. As soon as it is back, everything is there again.
 */
export function planBgp(topology: Topology, config: AgentConfig, restarted: boolean): BgpPlanned {
  const { self } = topology;
  const node = `Node ${config.nodeName}`;
  if (self === undefined) return { ok: false, reason: `${node} does not exist` };
  const routerId = routerIdOf(self, config.bgp.routerId);
  if (self.primaryAddress === undefined || routerId === undefined) {
    return { ok: false, reason: `${node} has no usable address yet` };
  }
  const as = ownAs(self, config.bgp);
  if (as === undefined) {
    return {
      ok: false,
      reason: `${node} has no annotation kube-router.io/node.asn, which --nodes-full-mesh=false needs`,
    };
  }
  const speaker: SpeakerConfig = {
    as,
    routerId,
    hostName: self.name,
    domainName: "",
    listen: listenAddresses(self).map((address) => ({ address, port: config.bgp.port })),
    clusterId: undefined,
    restarted: restarted && config.bgp.restartSeconds !== undefined,
    deferralSeconds: config.bgp.deferralSeconds,
    maximumPaths: 1,
  };
  const plan = { speaker, peers: meshPeers(topology, config.bgp), routes: ownRoutes(self) };
  return { ok: true, plan };
}
