/**
 * `podrouter check`: whether an agent with these flags would take its configuration file and the
 * files of passwords, by the agent's own reading of them. Opens nothing else.
 */
import { FileError, readText } from "../runtime/files.ts";
import { printable } from "../runtime/operator-text.ts";
import { configNeeds, peersWithPasswords } from "./bgp-files.ts";
import type { AgentConfig } from "./config.ts";
import { buildPeers } from "./config-file/build.ts";
import { parseConfigFile } from "./config-file/parse.ts";
import { CONFIG_BYTES_MAX, type ConfigFile } from "./config-file/schema.ts";
import { EMPTY_FILE, passwordFiles, readSecrets } from "./config-file/source.ts";

/** As `--config`: the text comes from standard input. */
const STANDARD_INPUT = "-";

export interface CheckOptions {
  /** Files of passwords are looked at; without, each counts as there. */
  readonly passwords: boolean;
  /** Bytes of the file where it is {@link STANDARD_INPUT}. */
  readonly input: AsyncIterable<Uint8Array | string>;
}

/** The configuration file, and how it is called in messages. */
export interface ReadConfig {
  readonly name: string;
  readonly file: ConfigFile;
}

/** Every fault, a sentence each; with none what was read, undefined without `--config`. */
export type Checked =
  | { readonly ok: true; readonly read: ReadConfig | undefined }
  | { readonly ok: false; readonly problems: readonly string[] };

/** Reads what the flags name. Never rejects for what is wrong with a file. */
export async function checkConfiguration(
  config: AgentConfig,
  options: CheckOptions,
): Promise<Checked> {
  const { external } = config.bgp;
  const problems: string[] = [];
  if (options.passwords && external.passwordsFile !== undefined) {
    const peers = peersWithPasswords(external, external.passwordsFile);
    if (typeof peers === "string") problems.push(printable(peers));
  }
  const { configFile } = config;
  const read =
    configFile === undefined ? undefined : await readConfig(configFile, config, options, problems);
  return problems.length > 0 ? { ok: false, problems } : { ok: true, read };
}

/** Undefined after a problem. */
async function readConfig(
  path: string,
  config: AgentConfig,
  options: CheckOptions,
  problems: string[],
): Promise<ReadConfig | undefined> {
  const name = path === STANDARD_INPUT ? "standard input" : path;
  let text: string;
  try {
    text = await (path === STANDARD_INPUT
      ? readInput(options.input, name)
      : readText(path, CONFIG_BYTES_MAX));
  } catch (error) {
    if (!(error instanceof FileError)) throw error;
    problems.push(printable(error.message));
    return undefined;
  }
  // An agent that runs refuses it, and one that starts would have nothing of it.
  if (text.trim() === "") {
    problems.push(`${name}:1: ${EMPTY_FILE}`);
    return undefined;
  }
  const parsed = parseConfigFile(text, name, configNeeds(config));
  if (!parsed.ok) {
    problems.push(...parsed.problems);
    return undefined;
  }
  if (options.passwords) problems.push(...(await passwordProblems(parsed.file, config)));
  return { name, file: parsed.file };
}

/** Peers that an agent would leave out. */
async function passwordProblems(
  file: ConfigFile,
  { bgp }: AgentConfig,
): Promise<readonly string[]> {
  const secrets = await readSecrets(passwordFiles(file));
  const { holdSeconds, restartSeconds } = bgp;
  const defaults = { holdSeconds, restartSeconds, port: 179, ownAddresses: [] };
  const built = buildPeers(file, defaults, (path) => secrets.get(path)!);
  return built.problems.map(printable);
}

/** @throws {FileError} when there is more than a file may hold. */
async function readInput(input: CheckOptions["input"], name: string): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of input) {
    const read = typeof chunk === "string" ? Buffer.from(chunk) : chunk;
    bytes += read.length;
    if (bytes > CONFIG_BYTES_MAX) throw new FileError(name, "too-large");
    chunks.push(read);
  }
  return Buffer.concat(chunks).toString("utf8");
}
