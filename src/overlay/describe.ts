/** Operations in the words of `ip` and `bridge`, for the log, a dry run and cleanup. */
import { type Device, type Item, itemKey, type OverlayOperation } from "./types.ts";

export function describeOperation(operation: OverlayOperation): string {
  switch (operation.kind) {
    case "create-device":
      return `link add ${describeDevice(operation.device)}`;
    case "set-device": {
      const { mtu, up, alias, mac, advertised, tuned } = operation.change;
      const { name, kind } = operation.link;
      const settings = kind === "vxlan" ? "ttl auto df unset nolearning" : "ttl 64";
      const words = [
        ...(mac === undefined ? [] : [`address ${mac}`]),
        ...(mtu === undefined ? [] : [`mtu ${mtu}`]),
        ...(alias === undefined ? [] : [`alias "${alias}"`]),
        ...(up === undefined ? [] : ["up"]),
        ...(advertised === undefined ? [] : ["accept_ra 0"]),
        ...(tuned === undefined ? [] : [`type ${kind} ${settings}`]),
      ];
      return `link set ${name} ${words.join(" ")}`;
    }
    case "delete-device":
      return `link delete ${operation.link.name}`;
    case "put":
      return describeItem(operation.item, operation.replaces ? "replace" : "add");
    case "drop":
      return describeItem(operation.item, "delete");
  }
}

export function describeItem(item: Item, verb: string): string {
  switch (item.kind) {
    case "forwarding":
      return `fdb ${verb} ${item.mac} dev if${item.link} dst ${item.remote}`;
    case "neighbour":
      return `neigh ${verb} ${item.address} lladdr ${item.mac} dev if${item.link}`;
    case "route": {
      const { nextHopId } = item;
      if (nextHopId !== undefined) {
        return `route ${verb} ${item.prefix} nhid ${nextHopId} table 77 proto 17`;
      }
      // Whatever it does with packets, it sends them nowhere.
      if (item.odd) return `route ${verb} blackhole ${item.prefix} table 77 proto 17`;
      const via = item.gateway === undefined ? "" : `via ${item.gateway} `;
      return `route ${verb} ${item.prefix} ${via}dev if${item.link} table 77 proto 17`;
    }
    case "rule":
      return `rule ${verb} from ${item.from} lookup 77`;
  }
}

function describeDevice({ name, kind, mtu, local, remote, vxlan }: Device): string {
  const end = remote === undefined ? "" : ` remote ${remote}`;
  const own = vxlan === undefined ? "" : ` id ${vxlan.vni} dstport ${vxlan.port} nolearning`;
  return `${name} mtu ${mtu} type ${kind} local ${local}${end}${own}`;
}

/** What an operation is about: the key of an item, or the name of a device. */
export function subjectOf(operation: OverlayOperation): string {
  if (operation.kind === "put" || operation.kind === "drop") return itemKey(operation.item);
  return operation.kind === "create-device" ? operation.device.name : operation.link.name;
}
