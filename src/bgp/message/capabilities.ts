/**
 * The capabilities that we announce. With the defaults of a node peer their order and bytes are
 * those of kube-router's GoBGP: route refresh, FQDN, families, 4-octet AS, graceful restart,
 * extended next hop. What GoBGP does not send there is optional and stands behind.
 */
import type { AddPathMode, Capability, LongLivedFamily, RouteFamily } from "./types.ts";

export interface LocalCapabilityOptions {
  /** AS that we present to this peer. */
  readonly as: number;
  readonly hostName: string;
  readonly domainName: string;
  /** In the order in which they are announced. */
  readonly families: readonly RouteFamily[];
  /** Undefined: graceful restart is off. */
  readonly gracefulRestart:
    | {
        readonly restarted: boolean;
        readonly notification: boolean;
        /** 12 bits. */
        readonly restartSeconds: number;
        /** Families whose forwarding state was kept: F bit, RFC 4724 §3. */
        readonly forwardingPreserved: readonly RouteFamily[];
        /** 24 bits; undefined: no RFC 9494. */
        readonly longLivedSeconds: number | undefined;
      }
    | undefined;
  readonly extendedMessage?: boolean;
  readonly enhancedRouteRefresh?: boolean;
  readonly addPath?: "none" | "receive" | "send" | "both";
  readonly softwareVersion?: string;
}

const ADD_PATH_MODES: Readonly<Record<"receive" | "send" | "both", AddPathMode>> = {
  receive: 1,
  send: 2,
  both: 3,
};

/** The list for our OPEN, in wire order. */
export function localCapabilities(options: LocalCapabilityOptions): readonly Capability[] {
  const { families } = options;
  const list: Capability[] = [
    { kind: "routeRefresh" },
    { kind: "fqdn", hostName: options.hostName, domainName: options.domainName },
    ...families.map((family): Capability => ({ kind: "multiprotocol", family })),
    { kind: "fourOctetAs", as: options.as },
  ];
  const restart = options.gracefulRestart;
  if (restart !== undefined) {
    list.push({
      kind: "gracefulRestart",
      restarted: restart.restarted,
      notification: restart.notification,
      restartSeconds: restart.restartSeconds,
      families: families.map((family) => ({
        family,
        forwardingPreserved: restart.forwardingPreserved.includes(family),
      })),
    });
  }
  if (families.includes(4)) {
    list.push({ kind: "extendedNextHop", entries: [{ family: 4, nextHopFamily: 6 }] });
  }
  if (options.extendedMessage === true) list.push({ kind: "extendedMessage" });
  if (options.enhancedRouteRefresh === true) list.push({ kind: "enhancedRouteRefresh" });
  const addPath = options.addPath ?? "none";
  if (addPath !== "none") {
    const mode = ADD_PATH_MODES[addPath];
    list.push({ kind: "addPath", families: families.map((family) => ({ family, mode })) });
  }
  const longLived = longLivedFamilies(options);
  if (longLived !== undefined) {
    list.push({ kind: "longLivedGracefulRestart", families: longLived });
  }
  if (options.softwareVersion !== undefined) {
    list.push({ kind: "softwareVersion", version: options.softwareVersion });
  }
  return list;
}

function longLivedFamilies(options: LocalCapabilityOptions): LongLivedFamily[] | undefined {
  const restart = options.gracefulRestart;
  const staleSeconds = restart?.longLivedSeconds;
  if (restart === undefined || staleSeconds === undefined) return undefined;
  return options.families.map((family) => ({
    family,
    forwardingPreserved: restart.forwardingPreserved.includes(family),
    staleSeconds,
  }));
}
