/** BIRD 2 and 3: one configuration file; nothing is asked of it while it runs. */
import type { Install } from "../../test/support/install.ts";
import { writeConfig } from "../../test/support/peers/process.ts";
import { type DaemonKind, type DaemonSetup, launch, RunningDaemon, versionOf } from "./daemon.ts";

export function bird(install: Install): DaemonKind {
  return {
    key: install.name("bird"),
    label: install.label("BIRD"),
    kernel: true,
    unavailable: () => install.lacks("bird"),
    version: () => versionOf(install.plain(["bird", "--version"])),
    start: async (setup) => {
      const { folder } = setup;
      await writeConfig(folder, "bird.conf", birdConfig(setup));
      const files = ["-c", `${folder}/bird.conf`, "-s", `${folder}/bird.ctl`];
      const words = ["bird", "-f", ...files, "-P", `${folder}/bird.pid`];
      const command = install.command(folder, words);
      return new RunningDaemon(launch(setup, "bird", command));
    },
  };
}

function birdConfig(setup: DaemonSetup): string {
  const kernel = `protocol kernel {
  scan time 60;
  ipv4 { import none; export where source = RTS_BGP; };
}`;
  return `router id ${setup.routerId};
protocol device { scan time 60; }
protocol direct { ipv4; }
${setup.kernel ? kernel : ""}
template bgp any {
  local ${setup.address} as ${setup.as};
  hold time ${setup.holdSeconds};
  connect delay time 1;
  connect retry time 1;
  error wait time 1, 2;
  graceful restart off;
}
${setup.neighbors
  .map(
    ({ address, as, passive, export: told }, index) => `protocol bgp p${index} from any {
  neighbor ${address} as ${as};
  passive ${passive ? "on" : "off"};
  ipv4 { import all; export ${told ? "where source = RTS_BGP" : "none"}; };
}`,
  )
  .join("\n")}
`;
}
