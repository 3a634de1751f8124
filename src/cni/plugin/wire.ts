/**
 * What the executable podrouter-cni and the agent say to each other, over a Unix socket: one JSON
 * object on one line each way, then the connection ends. The agent is asked in the very words of
 * the runtime, and its answer is printed as it is, so that all decisions are made in one place.
 *
 *   → {"env": {"CNI_COMMAND": "ADD", …}, "config": "the text of standard input"}
 *   ← {"status": 0, "output": "what is printed"}
 */
import { isJsonObject } from "../../runtime/json.ts";
import type { CallEnvironment } from "./request.ts";

/** Where the two meet, unless flags and configuration say otherwise. */
export const CNI_SOCKET_DEFAULT = "/run/podrouter/cni.sock";
/** Name of the file of leases in the agent's state folder. */
export const LEASES_FILE = "pod-leases.json";

/** The type of the plugin in a configuration: the name of the executable. */
export const PLUGIN_TYPE = "podrouter-cni";

/** All that the agent is told of the environment. */
const VARIABLES = [
  "CNI_COMMAND",
  "CNI_CONTAINERID",
  "CNI_NETNS",
  "CNI_IFNAME",
  "CNI_ARGS",
  "CNI_PATH",
] as const;

export interface Call {
  readonly environment: CallEnvironment;
  readonly config: string;
}

export interface Answer {
  /** Exit status: 0 or 1. */
  readonly status: 0 | 1;
  readonly output: string;
}

export function encodeCall({ environment, config }: Call): string {
  const env = Object.fromEntries(VARIABLES.map((name) => [name, environment[name]]));
  return `${JSON.stringify({ env, config })}\n`;
}

/** Undefined for what is no call. */
export function decodeCall(line: string): Call | undefined {
  const json = parse(line);
  const env = json?.["env"];
  const config = json?.["config"];
  if (!isJsonObject(env) || typeof config !== "string") return undefined;
  const environment: Record<string, string> = {};
  for (const name of VARIABLES) {
    const value = env[name];
    if (value === undefined) continue;
    if (typeof value !== "string") return undefined;
    environment[name] = value;
  }
  return { environment, config };
}

export function encodeAnswer(answer: Answer): string {
  return `${JSON.stringify(answer)}\n`;
}

/** Undefined for what is no answer. */
export function decodeAnswer(line: string): Answer | undefined {
  const json = parse(line);
  const { status, output } = json ?? {};
  if ((status !== 0 && status !== 1) || typeof output !== "string") return undefined;
  return { status, output };
}

function parse(line: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const json: unknown = JSON.parse(line);
    return isJsonObject(json) ? json : undefined;
  } catch {
    return undefined;
  }
}
