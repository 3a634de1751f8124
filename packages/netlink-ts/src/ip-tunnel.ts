/**
 * Tunnels of IP in IP, as `LINKINFO { DATA }` says them: kind `ipip` over IPv4, kind `ip6tnl` over
 * IPv6 (linux/if_tunnel.h, IFLA_IPTUN_*). The order is that of ip-link(8), so that the bytes can be
 * compared.
 */
import { AttributeSet, address, flag, row, u8, u16, u32 } from "./attribute-set.ts";

/** IFLA_IPTUN_PROTO: what is inside. 0: whatever the kind takes by itself. */
export const IpTunnelProtocol = { ANY: 0, IPV4: 4, IPV6: 41 } as const;
/** IFLA_IPTUN_FLAGS of `ip6tnl`; the first one: no encapsulation limit option (RFC 2473 §4.1.1). */
export const IpTunnelFlag = { IGNORE_ENCAPSULATION_LIMIT: 1 } as const;

/** Settings of an `ipip` or `ip6tnl` device. */
export interface IpTunnel {
  readonly protocol?: number;
  readonly local?: string;
  readonly remote?: string;
  /** `ipip` only: never let the outer packet be fragmented on its way. */
  readonly pathMtuDiscovery?: boolean;
  readonly tos?: number;
  /** 0: that of the inner packet. */
  readonly ttl?: number;
  /** `ip6tnl` only: {@link IpTunnelFlag} bits. */
  readonly flags?: number;
  /** Index of the interface that the tunnel goes through. */
  readonly underlayIndex?: number;
  /** What is between the two IP headers beside them: 0 nothing, 1 FOU, 2 GUE. */
  readonly encapsulation?: number;
}

export const ipTunnel = new AttributeSet<IpTunnel>({
  protocol: row(9, u8),
  local: row(2, address),
  remote: row(3, address),
  pathMtuDiscovery: row(10, flag),
  tos: row(5, u8),
  ttl: row(4, u8),
  flags: row(8, u32),
  underlayIndex: row(1, u32),
  encapsulation: row(15, u16),
});

/** Whether DATA of this kind is {@link IpTunnel}. */
export function isIpTunnelKind(kind: string): boolean {
  return kind === "ipip" || kind === "ip6tnl";
}
