/**
 * The messages of a kube-router peering as tcpdump showed them: node1 (192.168.50.50) and the
 * restarted node3 (192.168.50.52), AS 64512. Lengths there: OPEN 70, KEEPALIVE 19, UPDATE 48,
 * End-of-RIB 23.
 */
import { bytes } from "../../support/hex.ts";

const MARKER = "ffffffffffffffff ffffffffffffffff";

function open(address: string, hostName: string, restart: string): Uint8Array {
  return bytes(`${MARKER} 0046 01   # length 70, OPEN
    04 fc00 005a ${address}         # version, AS 64512, hold 90 s, identifier
    29 02 27                        # 41 octets of parameters: capabilities, 39 octets
    02 00                           # route refresh
    49 07 05 ${hostName} 00         # FQDN
    01 04 0001 00 01                # multiprotocol IPv4 unicast
    41 04 0000fc00                  # AS 64512
    40 06 ${restart}                # graceful restart
    05 06 0001 0001 0002            # extended next hop`);
}

function update(nextHop: string, prefix: string): Uint8Array {
  return bytes(`${MARKER} 0030 02   # length 48, UPDATE
    0000 0015                       # nothing withdrawn, 21 octets of attributes
    40 01 01 00                     # ORIGIN IGP
    40 02 00                        # AS_PATH empty
    40 03 04 ${nextHop}             # NEXT_HOP
    40 05 04 00000064               # LOCAL_PREF 100
    ${prefix}`);
}

export const seed = {
  /** R and F clear, restart time 90 s. */
  openOfNode1: open("c0a83232", "6e6f646531", "005a 0001 01 00"),
  /** R and F set. */
  openOfNode3: open("c0a83234", "6e6f646533", "805a 0001 01 80"),
  keepalive: bytes(`${MARKER} 0013 04`),
  /** 10.233.64.0/24 via 192.168.50.50. */
  updateOfNode1: update("c0a83232", "18 0ae940"),
  /** 10.233.68.0/24 via 192.168.50.52. */
  updateOfNode3: update("c0a83234", "18 0ae944"),
  endOfRib: bytes(`${MARKER} 0017 02 0000 0000`),
} as const;
