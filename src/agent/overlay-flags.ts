/**
 * The flags about tunnels to Nodes in other subnets. Names and meanings are kube-router's; the
 * overlay is off unless asked for, because a tunnel that both ends do not have loses packets.
 */
import { type Flag, flag } from "./flag.ts";
import { booleanValue, choiceValue, integerValue } from "./flag-values.ts";

const overlay = "Nodes in other subnets:";

/** RFC 7348 §5: 24 bits. */
const VNI_MAX = 2 ** 24 - 1;

const encapValue = {
  ...choiceValue(["ipip", "vxlan"]),
  expects: "ipip or vxlan (there is no fou: vxlan runs over UDP, too)",
};

export const OVERLAY_FLAGS = {
  enableOverlay: flag(
    "enable-overlay",
    overlay,
    booleanValue,
    "false",
    "reach the pods of Nodes that no interface leads to by tunnels; the same on all Nodes. " +
      "false: what lies between the subnets must know the pod CIDRs (kube-router's default: true)",
  ),
  overlayType: flag(
    "overlay-type",
    overlay,
    choiceValue(["subnet", "full"]),
    "subnet",
    "which Nodes are reached by a tunnel: those in other subnets, or all",
  ),
  overlayEncap: flag(
    "overlay-encap",
    overlay,
    encapValue,
    "ipip",
    "what packets are put into; the same on all Nodes. vxlan goes through networks that let UDP " +
      "pass only; a kernel that has not the one asked for is refused at the start",
  ),
  overlayEncapPort: flag(
    "overlay-encap-port",
    overlay,
    integerValue(1024, 65535),
    "4789",
    "UDP port of vxlan; the same on all Nodes (kube-router's is for fou)",
  ),
  overlayVni: flag(
    "overlay-vni",
    overlay,
    integerValue(1, VNI_MAX),
    "77",
    "VXLAN network identifier; the same on all Nodes",
  ),
} as const satisfies Readonly<Record<string, Flag<unknown>>>;
