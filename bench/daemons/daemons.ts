/** All daemons, in the order in which they run and are listed. */
import { machineInstall } from "../../test/support/install.ts";
import { NEWER_SUITE, newerInstall } from "../../test/support/newer-debian.ts";
import { bird } from "./bird.ts";
import type { DaemonKind } from "./daemon.ts";
import { frr } from "./frr.ts";
import { gobgp } from "./gobgp.ts";
import { openbgpd } from "./openbgpd.ts";
import { type PodrouterOptions, podrouter } from "./podrouter.ts";
import { relay } from "./relay.ts";

export { NEWER_SUITE };

export function allDaemons(options: PodrouterOptions): readonly DaemonKind[] {
  const newer = newerInstall();
  return [
    relay,
    podrouter(options),
    bird(machineInstall),
    bird(newer),
    openbgpd(machineInstall),
    frr(machineInstall),
    frr(newer),
    gobgp(machineInstall),
    gobgp(newer),
  ];
}
