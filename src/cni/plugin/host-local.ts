/**
 * The leases of host-local: a folder for each network, in it a file with the address as its name,
 * and the container's id and the interface on two lines in it. Pure, and small: the executable
 * looks at them too.
 */
import type { Owner } from "./request.ts";

/** Where host-local keeps its leases: by itself, and as kindnet and our ptp variant tell it. */
export const HOST_LOCAL_FOLDERS = ["/var/lib/cni/networks", "/run/cni-ipam-state"] as const;

/** Whether the text of a file there says that it is somebody's. */
export function isHostLocalLease(text: string, { containerId, interfaceName }: Owner): boolean {
  return text.trim() === `${containerId}\r\n${interfaceName}`;
}
