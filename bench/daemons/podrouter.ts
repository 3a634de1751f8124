/**
 * The agent as its image runs it: Node with the image's options and variables, the bundled file,
 * already compiled; a configuration file, no cluster.
 */
import { join } from "node:path";
import { imageRuntime } from "../../test/support/image-recipe.ts";
import { type NamespaceProcess, writeConfig } from "../../test/support/peers/process.ts";
import { LOOP_DELAY_PRELOAD, LOOP_DELAY_VARIABLE, loopDelayFile } from "../measure/loop-delay.ts";
import { type DaemonKind, type DaemonSetup, launch, RunningDaemon, versionOf } from "./daemon.ts";

export interface PodrouterOptions {
  /** The bundled file. */
  readonly bundle: string;
  /** Arguments of Node itself: `--cpu-prof …`. */
  readonly nodeArguments: readonly string[];
}

/** The admin socket of an agent that was started with this folder. */
export function adminSocket(folder: string): string {
  return join(folder, "admin.sock");
}

export function podrouter(options: PodrouterOptions): DaemonKind {
  const { bundle } = options;
  const runtime = imageRuntime();
  const node = [process.execPath, ...runtime.nodeFlags];
  return {
    key: "podrouter",
    label: "podrouter",
    kernel: true,
    unavailable: async () => undefined,
    agent: { program: bundle, nodeFlags: options.nodeArguments },
    version: () => versionOf([process.execPath, bundle, "--version"]),
    start: async (setup) => {
      const { folder } = setup;
      const config = await writeConfig(folder, "bgp.yaml", podrouterConfig(setup));
      const preload = setup.watchLoop ? ["--import", LOOP_DELAY_PRELOAD] : [];
      const words = [
        ...[...node, ...options.nodeArguments, ...preload],
        ...[bundle, "run", `--config=${config}`],
        ...[`--admin-socket=${adminSocket(folder)}`, `--state-dir=${join(folder, "state")}`],
        ...["--enable-cni=false", "--bgp-graceful-restart=false", "--health-port=0"],
        `--dry-run=${!setup.kernel}`,
      ];
      // The image sets nothing else; the bench's own NODE_OPTIONS are not the agent's.
      const env = {
        ...runtime.env,
        NODE_OPTIONS: "",
        [LOOP_DELAY_VARIABLE]: loopDelayFile(folder),
      };
      const started = launch(setup, "podrouter", words, env);
      return options.nodeArguments.length === 0
        ? new RunningDaemon(started)
        : new ProfiledDaemon(started);
    },
  };
}

/** Node writes a profile only when the process ends of itself. */
class ProfiledDaemon extends RunningDaemon {
  readonly #process: NamespaceProcess;

  constructor(process: NamespaceProcess) {
    super(process);
    this.#process = process;
  }

  override stop(): Promise<void> {
    return this.#process.stop();
  }
}

/** JSON is YAML. */
function podrouterConfig(setup: DaemonSetup): string {
  const { address, port } = setup;
  return JSON.stringify({
    global: { as: setup.as, routerId: setup.routerId, listen: [{ address, port }] },
    policies: [
      { name: "all", default: "accept" },
      { name: "none", default: "reject" },
    ],
    peerGroups: [{ name: "any", localAddress: address, holdTime: `${setup.holdSeconds}s` }],
    peers: setup.neighbors.map((each, index) => ({
      name: `p${index}`,
      address: each.address,
      group: "any",
      remoteAs: each.as,
      passive: each.passive,
      import: "all",
      export: each.export ? "all" : "none",
    })),
  });
}
