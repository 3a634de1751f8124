/** The flags about the pods of this node: CNI configuration, bridge, masquerading. */
import { EXCLUDED_MAX } from "../cni/limits.ts";
import { CNI_SOCKET_DEFAULT } from "../cni/plugin/wire.ts";
import { type Flag, flag } from "./flag.ts";
import {
  booleanValue,
  choiceValue,
  pathValue,
  prefixListValue,
  socketPathValue,
  textValue,
} from "./flag-values.ts";

const pods = "The pods of this node:";

/** Where runtimes look, under the name that kube-router's manifests use. */
export const CNI_CONF_FILE_DEFAULT = "/etc/cni/net.d/10-kuberouter.conflist";

export const POD_NETWORK_FLAGS = {
  enableCni: flag(
    "enable-cni",
    pods,
    booleanValue,
    "true",
    "connect the pods: keep the CNI configuration, the bridge kube-bridge, the packet rules and " +
      "kernel settings that pods need. false: somebody else connects them",
  ),
  cniConfFile: flag(
    "cni-conf-file",
    pods,
    textValue("path"),
    "",
    "the CNI configuration to keep, a .conflist; otherwise $KUBE_ROUTER_CNI_CONF_FILE, " +
      `otherwise ${CNI_CONF_FILE_DEFAULT}; in a network namespace beside the machine's own only ` +
      "where it is named, because the default one is the machine's",
  ),
  cniPlugin: flag(
    "cni-plugin",
    pods,
    choiceValue(["bridge", "ptp", "podrouter"]),
    "bridge",
    "how pods are connected: all to kube-bridge, as kube-router does, or each by a link of its " +
      "own, as kindnet does; podrouter: to kube-bridge too, by podrouter-cni, which asks the agent",
  ),
  cniSocket: flag(
    "cni-socket",
    pods,
    socketPathValue,
    CNI_SOCKET_DEFAULT,
    "where podrouter-cni asks the agent, with --cni-plugin=podrouter",
  ),
  cniBinDir: flag(
    "cni-bin-dir",
    pods,
    pathValue(),
    "/opt/cni/bin",
    "where the container runtime looks for the plugins; missing ones are reported",
  ),
  autoMtu: flag(
    "auto-mtu",
    pods,
    booleanValue,
    "true",
    "give pods the MTU of the interface with the node's address",
  ),
  enablePodEgress: flag(
    "enable-pod-egress",
    pods,
    booleanValue,
    "true",
    "masquerade what pods send outside the cluster",
  ),
  masqueradeExclude: {
    ...flag(
      "masquerade-exclude",
      pods,
      prefixListValue(EXCLUDED_MAX),
      "",
      "destinations to which pods keep their own address; may be given several times",
    ),
    repeatable: true,
  },
} as const satisfies Readonly<Record<string, Flag<unknown>>>;
