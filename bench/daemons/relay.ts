/** The null daemon: see ../generator/relay-main.ts. */
import { join } from "node:path";
import { type DaemonKind, launch, RunningDaemon } from "./daemon.ts";

const PROGRAM = join(import.meta.dirname, "..", "generator", "relay-main.ts");

export const RELAY_KEY = "null";

export const relay: DaemonKind = {
  key: RELAY_KEY,
  label: "null relay",
  kernel: false,
  unavailable: async () => undefined,
  version: async () => "-",
  start: async (setup) =>
    new RunningDaemon(launch(setup, "relay", [process.execPath, PROGRAM, JSON.stringify(setup)])),
};
