/** What an interop test needs of the machine. */
import { namespacesUnavailable } from "../support/namespaces.ts";
import { hasProgram, run } from "../support/shell.ts";
import type { DaemonRow } from "./daemons.ts";

/** Of the capture, of the shell around each daemon. */
const TOOLS = ["tcpdump", "tshark", "setpriv", "ss"] as const;

/** Why no interop test can run here, or undefined. */
export async function labUnavailable(): Promise<string | undefined> {
  for (const tool of TOOLS) if (!(await hasProgram(tool))) return `the program ${tool} is missing`;
  return namespacesUnavailable();
}

/** The version that the installed daemon says it is; undefined when it is not installed. */
export async function installedVersion(daemon: DaemonRow): Promise<string | undefined> {
  const [program, ...args] = daemon.versionCommand;
  const { stdout, stderr } = await run(program!, args);
  return /\d+(?:\.\d+)+/.exec(`${stdout}${stderr}`)?.[0];
}

/** Why this daemon cannot be tested against here, or undefined. */
export async function daemonUnavailable(daemon: DaemonRow): Promise<string | undefined> {
  if ((await installedVersion(daemon)) !== undefined) return undefined;
  return `${daemon.name} is not installed (Debian package ${daemon.package})`;
}
