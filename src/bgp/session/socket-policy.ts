/** From a peer's configuration to its socket's options. */
import type { PeerConfig } from "../types.ts";
import type { SocketPolicy } from "./transport.ts";

/**
 * An external peer stands one hop away unless told (RFC 4271 leaves it open; every implementation
 * does so). An internal one, or one whose AS is not known before, may stand anywhere.
 */
export function socketPolicy(config: PeerConfig, localAs: number): SocketPolicy {
  const external = config.remoteAs !== undefined && config.remoteAs !== localAs;
  return {
    password: config.password,
    ttl: external && !config.ttlSecurity ? config.multihopTtl : undefined,
    ttlSecurity: config.ttlSecurity,
    bindInterface: config.bindInterface,
  };
}
