/**
 * A call of the plugin, from the environment and standard input as the specification gives them
 * (CNI spec 1.1.0 §2 "Parameters", "Execution configuration"). Everything is checked here, by the
 * executable before it asks and by the agent again. Pure.
 */
import { isJsonObject, type JsonObject } from "../../runtime/json.ts";
import {
  ARGS_BYTES_MAX,
  ATTACHMENTS_MAX,
  CONFIG_BYTES_MAX,
  CONTAINER_ID_BYTES_MAX,
  INTERFACE_NAME_BYTES_MAX,
  NETWORK_NAME_BYTES_MAX,
  PATH_BYTES_MAX,
  RESULT_ENTRIES_MAX,
  SEARCH_PATH_BYTES_MAX,
} from "./limits.ts";
import {
  CniSpecError,
  type CniVersion,
  COMMANDS,
  Code,
  type Command,
  isAtLeast,
  isVersion,
  SINCE,
  VERSIONS,
} from "./spec.ts";

/** The variables of a call, by name. */
export type CallEnvironment = Readonly<Record<string, string | undefined>>;

/** An interface of a container. */
export interface Owner {
  readonly containerId: string;
  readonly interfaceName: string;
}

/** A result of a plugin before this one; of its entries only what is read here is checked. */
export interface PreviousResult {
  readonly interfaces: readonly JsonObject[];
  readonly ips: readonly JsonObject[];
  readonly routes: readonly JsonObject[];
  readonly dns: JsonObject | undefined;
}

export interface PluginConfig {
  readonly cniVersion: CniVersion;
  readonly network: string;
  readonly mtu: number | undefined;
  /** The agent's socket, and the file in which it keeps the leases. */
  readonly socket: string | undefined;
  readonly leases: string | undefined;
  /** Capability arguments: `02:…`, and addresses as text. */
  readonly linkAddress: string | undefined;
  readonly addresses: readonly string[];
  readonly previous: PreviousResult | undefined;
}

export type PluginRequest = PluginConfig &
  (
    | (Owner & { readonly command: "ADD" | "CHECK"; readonly netns: string })
    | (Owner & { readonly command: "DEL"; readonly netns: string | undefined })
    | { readonly command: "GC"; readonly keep: readonly Owner[] }
    | { readonly command: "STATUS" }
  );

const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/;
/** No slash, colon, blank or control character (linux dev_valid_name), and none of `.`, `..`. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused
const INTERFACE_NAME = /^(?!\.{1,2}$)[^\s/:\u0000-\u001f\u007f]+$/;
const LINK_ADDRESS = /^[0-9a-f]{2}(?::[0-9a-f]{2}){5}$/i;
const MTU_MAX = 65_535;

/** The command, by itself: VERSION is answered without anything else. */
export function readCommand(environment: CallEnvironment): Command {
  const text = environment["CNI_COMMAND"] ?? "";
  const command = COMMANDS.find((one) => one === text);
  if (command !== undefined) return command;
  throw badEnvironment(text === "" ? "CNI_COMMAND is missing" : "CNI_COMMAND is not known");
}

/** @throws {CniSpecError} with the code that the specification has for what is wrong. */
export function readRequest(environment: CallEnvironment, stdin: string): PluginRequest {
  const command = readCommand(environment);
  if (command === "VERSION") throw badEnvironment("VERSION asks for nothing more");
  checkSize(environment, "CNI_ARGS", ARGS_BYTES_MAX);
  checkSize(environment, "CNI_PATH", SEARCH_PATH_BYTES_MAX);
  checkArguments(environment["CNI_ARGS"] ?? "");
  const attachment =
    command === "STATUS" || command === "GC" ? undefined : readAttachment(environment, command);
  const json = parseConfig(stdin);
  const config = readConfig(json, command);
  switch (command) {
    case "STATUS":
      return { ...config, command };
    case "GC":
      return { ...config, command, keep: readKept(json) };
    case "DEL":
      return { ...config, command, ...attachment! };
    default: {
      const { netns, ...owner } = attachment!;
      if (netns === undefined) throw badEnvironment("CNI_NETNS is missing");
      if (command === "CHECK" && config.previous === undefined) {
        throw badConfig("prevResult is missing, and CHECK compares with it");
      }
      return { ...config, command, ...owner, netns };
    }
  }
}

/** The configuration as JSON, whatever is in it. */
export function parseConfig(stdin: string): JsonObject {
  if (Buffer.byteLength(stdin) > CONFIG_BYTES_MAX) {
    throw new CniSpecError(
      Code.DECODING_FAILURE,
      `the configuration has more than ${CONFIG_BYTES_MAX} bytes`,
    );
  }
  let json: unknown;
  try {
    json = JSON.parse(stdin);
  } catch (error) {
    const why = error instanceof Error ? error.message : "";
    throw new CniSpecError(Code.DECODING_FAILURE, "the configuration is not JSON", why);
  }
  if (isJsonObject(json)) return json;
  throw new CniSpecError(Code.DECODING_FAILURE, "the configuration is not a JSON object");
}

function readAttachment(
  environment: CallEnvironment,
  command: Command,
): Owner & { readonly netns: string | undefined } {
  const containerId = environment["CNI_CONTAINERID"] ?? "";
  if (containerId === "") throw badEnvironment("CNI_CONTAINERID is missing");
  checkSize(environment, "CNI_CONTAINERID", CONTAINER_ID_BYTES_MAX);
  if (!NAME.test(containerId)) {
    throw badEnvironment("CNI_CONTAINERID has characters that the specification does not allow");
  }
  const interfaceName = environment["CNI_IFNAME"] ?? "";
  if (interfaceName === "") throw badEnvironment("CNI_IFNAME is missing");
  checkSize(environment, "CNI_IFNAME", INTERFACE_NAME_BYTES_MAX);
  if (!INTERFACE_NAME.test(interfaceName)) throw badEnvironment("CNI_IFNAME is no interface name");
  const netns = environment["CNI_NETNS"] ?? "";
  // DEL may come without, when the namespace is gone already.
  if (netns === "" && command === "DEL") return { containerId, interfaceName, netns: undefined };
  if (!isPath(netns)) throw badEnvironment("CNI_NETNS is no absolute path");
  return { containerId, interfaceName, netns };
}

function checkSize(environment: CallEnvironment, name: string, bytesMax: number): void {
  if (Buffer.byteLength(environment[name] ?? "") > bytesMax) {
    throw badEnvironment(`${name} has more than ${bytesMax} bytes`);
  }
}

/** `KEY=VALUE;…`: nothing in it is used, but what is no such list is a mistake of the caller. */
function checkArguments(text: string): void {
  if (text === "") return;
  if (!text.split(";").every((pair) => pair === "" || /^[^=]+=/.test(pair))) {
    throw badEnvironment("CNI_ARGS is no list of KEY=VALUE with semicolons between them");
  }
}

function readConfig(json: JsonObject, command: Command): PluginConfig {
  const cniVersion = versionOf(json, command);
  const network = json["name"];
  if (typeof network !== "string" || !NAME.test(network)) throw badConfig("name is no name");
  if (Buffer.byteLength(network) > NETWORK_NAME_BYTES_MAX) throw badConfig("name is too long");
  const mtu = json["mtu"];
  if (mtu !== undefined && !isWhole(mtu, MTU_MAX)) throw badConfig("mtu is no number of bytes");
  return {
    cniVersion,
    network,
    mtu: mtu === 0 ? undefined : mtu,
    socket: pathIn(json, "socket"),
    leases: pathIn(json, "leases"),
    ...readRuntimeConfig(json["runtimeConfig"]),
    previous: readPrevious(json["prevResult"]),
  };
}

function versionOf(json: JsonObject, command: Command): CniVersion {
  const version = json["cniVersion"];
  if (!isVersion(version)) {
    const said = typeof version === "string" ? JSON.stringify(version.slice(0, 20)) : "none";
    throw new CniSpecError(
      Code.INCOMPATIBLE_VERSION,
      `cniVersion ${said} is not spoken here`,
      `spoken: ${VERSIONS.join(", ")}`,
    );
  }
  const since = SINCE[command];
  if (since === undefined || isAtLeast(version, since)) return version;
  const text = `${command} is there since CNI ${since}, the configuration is of ${version}`;
  throw new CniSpecError(Code.INCOMPATIBLE_VERSION, text);
}

function readRuntimeConfig(json: unknown): Pick<PluginConfig, "linkAddress" | "addresses"> {
  if (json === undefined || json === null) return { linkAddress: undefined, addresses: [] };
  if (!isJsonObject(json)) throw badConfig("runtimeConfig is no object");
  const { mac, ips } = json;
  const noMac = mac === undefined || mac === "";
  if (!noMac && (typeof mac !== "string" || !LINK_ADDRESS.test(mac))) {
    throw badConfig("runtimeConfig.mac is no MAC address");
  }
  const texts = ips ?? [];
  if (!Array.isArray(texts) || texts.length > 2 || !texts.every((ip) => typeof ip === "string")) {
    throw badConfig("runtimeConfig.ips is no list of at most one address of each family");
  }
  return {
    linkAddress: noMac ? undefined : mac.toLowerCase(),
    addresses: texts.map((text: string) => text.split("/", 1)[0]!),
  };
}

function readPrevious(json: unknown): PreviousResult | undefined {
  if (json === undefined || json === null) return undefined;
  if (!isJsonObject(json)) throw badConfig("prevResult is no object");
  const list = (key: string): readonly JsonObject[] => {
    const value = json[key] ?? [];
    if (Array.isArray(value) && value.length <= RESULT_ENTRIES_MAX && value.every(isJsonObject)) {
      return value;
    }
    throw badConfig(`prevResult.${key} is no list of at most ${RESULT_ENTRIES_MAX} objects`);
  };
  return {
    interfaces: list("interfaces"),
    ips: list("ips"),
    routes: list("routes"),
    dns: isJsonObject(json["dns"]) ? json["dns"] : undefined,
  };
}

/** Both names that the list has had. */
const KEPT_KEYS = ["cni.dev/valid-attachments", "cni.dev/attachments"] as const;

/**
 * Without the key nothing is kept and nothing removed: it is refused. `null` is the empty list, as
 * libcni writes it for CRI-O on a node without pods.
 */
function readKept(json: JsonObject): readonly Owner[] {
  const key = KEPT_KEYS.find((one) => json[one] !== undefined);
  if (key === undefined) throw badConfig(`${KEPT_KEYS[0]} is missing`);
  const list = json[key] ?? [];
  if (!Array.isArray(list)) throw badConfig(`${key} is no list`);
  if (list.length > ATTACHMENTS_MAX) {
    throw badConfig(`${key} has more than ${ATTACHMENTS_MAX} entries`);
  }
  return list.map((entry: unknown) => {
    const { containerID: containerId, ifname: interfaceName } = isJsonObject(entry) ? entry : {};
    if (typeof containerId !== "string" || typeof interfaceName !== "string") {
      throw badConfig(`${key} has an entry without containerID or ifname`);
    }
    return { containerId, interfaceName };
  });
}

function pathIn(json: JsonObject, key: string): string | undefined {
  const value = json[key];
  if (value === undefined) return undefined;
  if (typeof value === "string" && isPath(value)) return value;
  throw badConfig(`${key} is no absolute path`);
}

function isPath(text: string): boolean {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused
  return /^\/[^\u0000-\u001f\u007f]*$/.test(text) && Buffer.byteLength(text) <= PATH_BYTES_MAX;
}

function isWhole(value: unknown, max: number): value is number {
  return typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= max;
}

function badEnvironment(text: string): CniSpecError {
  return new CniSpecError(Code.INVALID_ENVIRONMENT, text);
}

function badConfig(text: string): CniSpecError {
  return new CniSpecError(Code.INVALID_CONFIG, text);
}
