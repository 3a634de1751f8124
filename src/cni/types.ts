/** What the parts of this folder say to each other and to the agent. */

/** How pods are connected: all to one bridge, or each by a point-to-point link of its own. */
export type CniPluginKind = "bridge" | "ptp";

/** What makes it so: a reference plugin with its host-local, or our own, which uses the bridge. */
export type CniPluginChoice = CniPluginKind | "podrouter";

export function kindOf(plugin: CniPluginChoice): CniPluginKind {
  return plugin === "podrouter" ? "bridge" : plugin;
}

/** The bridge, by kube-router's name, so that its pods stay connected when the agent changes. */
export const POD_BRIDGE = "kube-bridge";

/** One thing that is wrong, for the log, `podrouter status` and /readyz. */
export interface CniCondition {
  /** Stable, and unique within this folder. */
  readonly name: string;
  readonly severity: "info" | "warning" | "error";
  /** One sentence; no control characters. */
  readonly message: string;
}
