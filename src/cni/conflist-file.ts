/**
 * Keeps the CNI configuration file of this node as conflist.ts plans it. The container runtime
 * reports the node as ready for pods as soon as the file is there, so a new one is written only
 * once the node routes. The file is replaced whole (temporary file, sync, rename), only when
 * something changes, and never when it is not understood: pods that run do not depend on it, and
 * an administrator's work is worth more than ours.
 *
 * Each pass reads what is there and removes the difference; a pass is made when what is wanted
 * changes, when something happens in the folder, and every CONFLIST_PERIOD_MS.
 */
import { basename, dirname, join } from "node:path";
import type { Prefix } from "../ip/prefix.ts";
import { backoffMs } from "../runtime/backoff.ts";
import type { Clock, Random } from "../runtime/clock.ts";
import { FileError } from "../runtime/files.ts";
import type { Log } from "../runtime/log.ts";
import { printable, someOf } from "../runtime/operator-text.ts";
import { PassLoop } from "../runtime/pass-loop.ts";
import { type ConflistRefusal, isThere, type OwnPluginPaths, planConflist } from "./conflist.ts";
import type { Gateway } from "./gateways.ts";
import { CONFLIST_PERIOD_MS, CONFLIST_REST_MS, NAMED_MAX, PLUGINS_MAX, RETRY } from "./limits.ts";
import type { CniCondition, CniPluginChoice } from "./types.ts";

/** The files, for tests to stand in. Everything but `isProgram` rejects with {@link FileError}. */
export interface ConflistFiles {
  /** Undefined when there is no file. */
  read(path: string): Promise<string | undefined>;
  /** Replaces the file whole and makes its folder. */
  write(path: string, text: string): Promise<void>;
  /** Names in a folder; undefined when there is no such folder. */
  list(folder: string): Promise<readonly string[] | undefined>;
  isProgram(path: string): Promise<boolean>;
  /** Calls back when something happens in the folder of `path`, which must be there. */
  watch(path: string, onEvent: () => void): { close(): void };
}

export interface ConflistFileOptions {
  readonly path: string;
  /** Where the runtime looks for the plugins. */
  readonly binFolder: string;
  readonly kind: CniPluginChoice;
  /** For our own plugin. */
  readonly own?: OwnPluginPaths | undefined;
  /** Look and report, write nothing. */
  readonly dryRun?: boolean;
}

export interface ConflistFileWanted {
  /** Empty while the Node has none: the file is then left as it is. */
  readonly podCidrs: readonly Prefix[];
  /** Undefined: whatever the file says. */
  readonly mtu: number | undefined;
  /** Why nothing may be written yet ("BGP has not converged"); undefined when it may. */
  readonly notYet: string | undefined;
}

export interface ConflistFileDeps {
  readonly files: ConflistFiles;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Called after each pass. Must not throw. */
  readonly onChanged?: () => void;
}

/** Files that a runtime reads, in the order of their names; the first one counts. */
const CONFIGURATION = /\.(?:conf|conflist|json)$/;

/** What each runtime may want beside the plugins of the list: containerd calls it for `lo`. */
const LOOPBACK = "loopback";

const REFUSALS: Readonly<Record<ConflistRefusal, string>> = {
  "not-json": "is not JSON",
  "not-a-list": "is not a CNI network configuration list",
  "no-known-plugin": "has no plugin bridge, ptp or podrouter-cni",
};

/** What a pass found, or brought about. */
interface Outcome {
  /** The file is there and as it should be. */
  readonly inPlace: boolean;
  /** There is no file, or an empty one, and it is too early for one. */
  readonly waits: boolean;
  /** What a dry run holds back. */
  readonly planned: readonly string[];
  /** What kube-bridge gets from the file as it is. */
  readonly gateways: readonly Gateway[];
}

const NOTHING_DONE: Outcome = { inPlace: false, waits: false, planned: [], gateways: [] };

export class ConflistFile {
  readonly #options: ConflistFileOptions;
  readonly #deps: ConflistFileDeps;
  readonly #loop: PassLoop;
  #wanted: ConflistFileWanted = { podCidrs: [], mtu: undefined, notYet: "the agent starts" };
  #conditions: readonly CniCondition[] = [];
  /** Of the last pass that came to its end. */
  #outcome = NOTHING_DONE;
  #failures = 0;
  #watch: { close(): void } | undefined;

  constructor(options: ConflistFileOptions, deps: ConflistFileDeps) {
    this.#options = options;
    this.#deps = deps;
    this.#loop = new PassLoop(deps.clock, () => this.#pass());
  }

  start(): void {
    this.#loop.start();
  }

  /** The file itself stays. */
  async stop(): Promise<void> {
    await this.#loop.stop();
    // A pass that was under way may have begun it.
    this.#watch?.close();
  }

  want(wanted: ConflistFileWanted): void {
    this.#wanted = wanted;
    this.#loop.request();
  }

  conditions(): readonly CniCondition[] {
    const { notYet } = this.#wanted;
    // With the reason of now: there may be none any more, and the file be written this moment.
    if (!this.#outcome.waits || notYet === undefined) return this.#conditions;
    return [...this.#conditions, waiting(this.#options.path, notYet)];
  }

  /** What a dry run holds back. */
  planned(): readonly string[] {
    return this.#outcome.planned;
  }

  /** Whether the file is there and as it should be. */
  get inPlace(): boolean {
    return this.#outcome.inPlace;
  }

  /** What kube-bridge gets with pods; none while the file is not as it should be. */
  get gateways(): readonly Gateway[] {
    return this.#outcome.gateways;
  }

  async #pass(): Promise<number> {
    const found: CniCondition[] = [];
    let outcome = NOTHING_DONE;
    let delayMs = CONFLIST_PERIOD_MS;
    try {
      const names = await this.#deps.files.list(dirname(this.#options.path));
      if (names !== undefined) this.#watchOnce();
      const first = shadowing(names ?? [], this.#options.path);
      if (first.length > 0) found.push(shadowed(first, this.#options.path));
      outcome = await this.#keep(found);
      this.#failures = 0;
    } catch (error) {
      if (!(error instanceof FileError)) throw error;
      found.push(failed(error));
      delayMs = backoffMs(RETRY, this.#failures++, this.#deps.random);
    }
    this.#conditions = found;
    this.#outcome = outcome;
    this.#deps.onChanged?.();
    return delayMs;
  }

  /** Adds to `found`. */
  async #keep(found: CniCondition[]): Promise<Outcome> {
    const { path, kind, own, dryRun } = this.#options;
    const { podCidrs, mtu, notYet } = this.#wanted;
    const existing = await this.#deps.files.read(path);
    if (podCidrs.length === 0) return NOTHING_DONE;
    const plan = planConflist(existing, { kind, own, podCidrs, mtu });
    if (!plan.ok) {
      found.push(refused(path, plan.refusal));
      return NOTHING_DONE;
    }
    for (const note of plan.notes) found.push(noted(path, note));
    const missing = await this.#missing([...plan.programs, LOOPBACK]);
    if (missing.length > 0) found.push(pluginsMissing(missing, this.#options.binFolder));
    const { gateways } = plan;
    if (plan.text === undefined) return { ...NOTHING_DONE, inPlace: true, gateways };
    if (dryRun === true) return { ...NOTHING_DONE, planned: [`write ${path}`] };
    if (notYet !== undefined) return { ...NOTHING_DONE, waits: !isThere(existing) };
    await this.#deps.files.write(path, plan.text);
    // Now at the latest there is a folder.
    this.#watchOnce();
    this.#deps.log.info({ path, podCidrs: podCidrs.join(" "), mtu }, "CNI configuration written");
    return { ...NOTHING_DONE, inPlace: true, gateways };
  }

  async #missing(programs: readonly string[]): Promise<readonly string[]> {
    const missing: string[] = [];
    for (const program of new Set(programs.slice(0, PLUGINS_MAX))) {
      // A name is looked up in the folder as it stands, and nowhere else (libcni does the same).
      const plain = basename(program) === program;
      const path = join(this.#options.binFolder, program);
      if (!plain || !(await this.#deps.files.isProgram(path))) missing.push(program);
    }
    return missing;
  }

  #watchOnce(): void {
    this.#watch ??= this.#deps.files.watch(this.#options.path, () => {
      // A write of ours that fails makes events too, and must not be repeated by them.
      if (this.#failures === 0) this.#loop.request(CONFLIST_REST_MS);
    });
  }
}

/** Other configurations that a runtime would take before ours. */
function shadowing(names: readonly string[], path: string): readonly string[] {
  const own = basename(path);
  return names.filter((name) => name < own && CONFIGURATION.test(name)).sort();
}

function shadowed(names: readonly string[], path: string): CniCondition {
  return {
    name: "cni-conf-shadowed",
    severity: "error",
    message:
      `${list(names)} in ${dirname(path)} ${names.length === 1 ? "sorts" : "sort"} before ` +
      `${basename(path)}: the container runtime uses the first one, and pods are not ` +
      "connected by podrouter",
  };
}

function refused(path: string, refusal: ConflistRefusal): CniCondition {
  return {
    name: "cni-conf-not-understood",
    severity: "error",
    message:
      `${path} ${REFUSALS[refusal]}: it is left as it is; correct it, or remove it and it is ` +
      "made anew",
  };
}

function failed(error: FileError): CniCondition {
  return {
    name: "cni-conf-file",
    severity: "error",
    message: `the CNI configuration cannot be kept: ${error.message}`,
  };
}

function noted(path: string, note: string): CniCondition {
  return { name: "cni-conf-partial", severity: "warning", message: `${path}: ${note}` };
}

function pluginsMissing(missing: readonly string[], folder: string): CniCondition {
  return {
    name: "cni-plugins-missing",
    severity: "error",
    message: `no pod can be made: ${list(missing)} not found in ${folder} (--cni-bin-dir)`,
  };
}

function waiting(path: string, notYet: string): CniCondition {
  return {
    name: "cni-conf-waits",
    severity: "info",
    message: `${path} is not written yet: ${notYet}`,
  };
}

/** Names for a message: bounded, printable. */
function list(names: readonly string[]): string {
  const plain = names.map((name) => printable(name.slice(0, 80)));
  return someOf(plain, NAMED_MAX);
}
