/** GoBGP: a TOML file. It cannot put routes into the kernel by itself. */
import type { Install } from "../../test/support/install.ts";
import { writeConfig } from "../../test/support/peers/process.ts";
import { type DaemonKind, type DaemonSetup, launch, RunningDaemon, versionOf } from "./daemon.ts";

export function gobgp(install: Install): DaemonKind {
  return {
    key: install.name("gobgp"),
    label: install.label("GoBGP"),
    kernel: false,
    unavailable: () => install.lacks("gobgpd"),
    version: () => versionOf(install.plain(["gobgpd", "--version"])),
    start: async (setup) => {
      await writeConfig(setup.folder, "gobgpd.toml", gobgpConfig(setup));
      const file = `${setup.folder}/gobgpd.toml`;
      const words = ["gobgpd", "-t", "toml", "-f", file, "--pprof-disable", "-l", "error"];
      return new RunningDaemon(launch(setup, "gobgpd", install.command(setup.folder, words)));
    },
  };
}

function gobgpConfig(setup: DaemonSetup): string {
  const told = setup.neighbors
    .filter((each) => each.export)
    .map(({ address }) => `"${address}/32"`);
  return `
[global.config]
  as = ${setup.as}
  router-id = "${setup.routerId}"
  port = ${setup.port}
  local-address-list = ["${setup.address}"]
[global.apply-policy.config]
  export-policy-list = ["told"]
  default-import-policy = "accept-route"
  default-export-policy = "reject-route"
[[defined-sets.neighbor-sets]]
  neighbor-set-name = "told"
  neighbor-info-list = [${told.join(", ")}]
[[policy-definitions]]
  name = "told"
  [[policy-definitions.statements]]
    name = "told"
    [policy-definitions.statements.conditions.match-neighbor-set]
      neighbor-set = "told"
      match-set-options = "any"
    [policy-definitions.statements.actions]
      route-disposition = "accept-route"
${setup.neighbors.map((each) => neighborConfig(setup, each)).join("")}
`;
}

function neighborConfig(setup: DaemonSetup, neighbor: DaemonSetup["neighbors"][number]): string {
  return `
[[neighbors]]
  [neighbors.config]
    neighbor-address = "${neighbor.address}"
    peer-as = ${neighbor.as}
  [neighbors.timers.config]
    connect-retry = 1
    hold-time = ${setup.holdSeconds}
    keepalive-interval = ${Math.floor(setup.holdSeconds / 3)}
    idle-hold-time-after-reset = 1
  [neighbors.transport.config]
    local-address = "${setup.address}"
    passive-mode = ${neighbor.passive}
  [[neighbors.afi-safis]]
    [neighbors.afi-safis.config]
      afi-safi-name = "ipv4-unicast"
`;
}
