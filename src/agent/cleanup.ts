/**
 * `podrouter cleanup`: takes away what the agent has made on this machine and nothing else. First
 * everything is looked for and described; what is then removed is exactly that.
 *
 *   CNI configuration   only when it was made here, and not taken over from others
 *   leases, CNI socket  of the plugin podrouter-cni, where the CNI configuration has them; an agent
 *                       that starts later learns from the links of running pods who has what
 *   packet rules        the masquerade rule and the accepts, in both back ends of iptables
 *   routes              protocol 17, main table
 *   tunnels             our devices, and what of protocol 17 is in table 77 or leads to it
 *   ipsets              the two and their IPv6 twins; last, because rules refer to them
 *
 * The bridge and the kernel's settings stay: pods that run still need them, and others may.
 */
import { join } from "node:path";
import { type OwnPluginPaths, ownPluginPaths } from "../cni/conflist.ts";
import { conflistDisk } from "../cni/conflist-disk.ts";
import type { ConflistFiles } from "../cni/conflist-file.ts";
import { iptablesHolding } from "../cni/iptables.ts";
import { CNI_SOCKET_DEFAULT, LEASES_FILE } from "../cni/plugin/wire.ts";
import { PacketFilterError } from "../cni/pod-rules.ts";
import {
  describeOwnRules,
  findConflist,
  findOwnRules,
  type OwnRules,
  removeOwnRules,
} from "../cni/remove-all.ts";
import { runProgram } from "../cni/run-program.ts";
import { NetlinkSets } from "../ipset/netlink-sets.ts";
import { SetsError, type SetsKernel } from "../ipset/ports.ts";
import { findOwnSets, removeSets } from "../ipset/remove-all.ts";
import { NetlinkOverlay } from "../overlay/netlink-overlay.ts";
import { type OverlayKernel, OverlayKernelError } from "../overlay/ports.ts";
import { findOwnOverlay, type OwnOverlay, removeOwnOverlay } from "../overlay/remove-all.ts";
import { describeRoute } from "../routes/conditions.ts";
import { NetlinkKernel } from "../routes/netlink-kernel.ts";
import { KernelUnavailableError, type RouteKernel } from "../routes/ports.ts";
import { removeAllRoutes } from "../routes/remove-all.ts";
import { isOurs } from "../routes/types.ts";
import { FileError, fileExists, removeFile } from "../runtime/files.ts";
import { RUN_FLAGS } from "./flags.ts";

/** The machine, for tests to stand in. */
export interface CleanupPorts {
  readonly routes: Pick<RouteKernel, "dumpRoutes" | "dumpTopology" | "apply">;
  readonly sets: Pick<SetsKernel, "header" | "destroy">;
  readonly overlay: Pick<OverlayKernel, "read" | "apply">;
  readonly filters: () => ReturnType<typeof iptablesHolding>;
  readonly files: Pick<ConflistFiles, "read">;
  readonly removeFile: (path: string) => Promise<void>;
  readonly fileExists: (path: string) => boolean;
}

/** What was found. */
export interface CleanupPlan {
  /** What will be removed, a line each. */
  readonly lines: readonly string[];
  /** What is left alone although it looks like ours, and why; and what could not be looked at. */
  readonly notes: readonly string[];
  /** Those of the notes after which something of ours may be left. */
  readonly unseen: readonly string[];
  readonly conflist: string | undefined;
  /** Of the plugin podrouter-cni. */
  readonly pluginFiles: readonly string[];
  readonly rules: readonly OwnRules[];
  readonly routes: number;
  readonly overlay: OwnOverlay;
  readonly sets: readonly string[];
}

export interface CleanupResult {
  readonly removed: readonly string[];
  /** What is still there, and why. */
  readonly left: readonly string[];
}

/** Where they are when the configuration that says so is gone. */
const PLUGIN_PATHS_DEFAULT: OwnPluginPaths = {
  socket: CNI_SOCKET_DEFAULT,
  leases: join(RUN_FLAGS.stateDir.default, LEASES_FILE),
};
/** Routes described one by one. Beyond: counted. */
const ROUTES_NAMED_MAX = 20;
/** Tunnels, and what belongs to them, described one by one. Beyond: counted. */
const OVERLAY_NAMED_MAX = 20;

export function systemCleanupPorts(): CleanupPorts {
  return {
    routes: new NetlinkKernel(),
    sets: new NetlinkSets(),
    overlay: new NetlinkOverlay(),
    filters: () =>
      iptablesHolding({ run: runProgram, nftGeneration: () => Promise.resolve(undefined) }),
    files: conflistDisk,
    removeFile,
    fileExists,
  };
}

/** Looks at everything and changes nothing. */
export async function planCleanup(confFile: string, ports: CleanupPorts): Promise<CleanupPlan> {
  const lines: string[] = [];
  const notes: string[] = [];
  const unseen: string[] = [];
  const conflist = await lookForConflist(confFile, ports, notes, unseen);
  if (conflist !== undefined) lines.push(`file ${conflist}`);
  const pluginFiles = await lookForPluginFiles(confFile, ports);
  lines.push(...pluginFiles.map((path) => `file ${path}`));
  const rules = await lookForRules(ports, unseen);
  lines.push(...rules.flatMap(describeOwnRules));
  const routes = await lookForRoutes(ports, unseen);
  lines.push(...routes.lines);
  const overlay = await lookForOverlay(ports, unseen);
  lines.push(...overlay.lines.slice(0, OVERLAY_NAMED_MAX));
  const more = overlay.lines.length - OVERLAY_NAMED_MAX;
  if (more > 0) lines.push(`and ${more} more tunnels, and routes and rules of table 77`);
  const sets = await lookForSets(ports, notes);
  lines.push(...sets.map((name) => `ipset ${name}`));
  return {
    lines,
    notes: [...unseen, ...notes],
    unseen,
    conflist,
    pluginFiles,
    rules,
    routes: routes.count,
    overlay,
    sets,
  };
}

/** Removes what was found. Never rejects for what is in the way: that is in the result. */
export async function carryOutCleanup(
  plan: CleanupPlan,
  ports: CleanupPorts,
): Promise<CleanupResult> {
  const removed: string[] = [];
  const left: string[] = [];
  const conflist = plan.conflist === undefined ? [] : [plan.conflist];
  for (const path of [...conflist, ...plan.pluginFiles]) {
    const why = await outcome(() => ports.removeFile(path));
    if (why === undefined) removed.push(`file ${path}`);
    else left.push(`file ${path}: ${why}`);
  }
  for (const own of plan.rules) {
    const why = await removeOwnRules(own);
    const count = describeOwnRules(own).length;
    if (why === undefined) removed.push(`packet rules (IPv${own.family}): ${count}`);
    else left.push(`${count} packet rules (IPv${own.family}): ${why}`);
  }
  if (plan.routes > 0) await removeRoutes(ports, removed, left);
  if (plan.overlay.operations.length > 0) await removeOverlay(plan.overlay, ports, removed, left);
  if (plan.sets.length > 0) await removeFoundSets(plan.sets, ports, removed, left);
  return { removed, left };
}

async function lookForConflist(
  path: string,
  ports: CleanupPorts,
  notes: string[],
  unseen: string[],
): Promise<string | undefined> {
  try {
    const found = await findConflist(ports.files, path);
    if (found === "others") notes.push(`file ${path} stays: it was there before podrouter`);
    return found === "ours" ? path : undefined;
  } catch (error) {
    if (!(error instanceof FileError)) throw error;
    unseen.push(error.message);
    return undefined;
  }
}

/** A configuration that cannot be read has been told of already. */
async function lookForPluginFiles(
  confFile: string,
  ports: CleanupPorts,
): Promise<readonly string[]> {
  const text = await ports.files.read(confFile).catch(() => undefined);
  const { socket, leases } = (text && ownPluginPaths(text)) || PLUGIN_PATHS_DEFAULT;
  return [leases, `${leases}.damaged`, socket].filter((path) => ports.fileExists(path));
}

async function lookForRules(ports: CleanupPorts, unseen: string[]): Promise<readonly OwnRules[]> {
  const told = (why: string) => unseen.push(`the packet rules cannot be listed: ${why}`);
  try {
    const filters = await ports.filters();
    const found = await findOwnRules(filters.holding);
    for (const why of [...filters.unseen, ...found.unseen]) told(why);
    return found.rules;
  } catch (error) {
    if (!(error instanceof PacketFilterError)) throw error;
    told(error.message);
    return [];
  }
}

async function lookForRoutes(
  ports: CleanupPorts,
  unseen: string[],
): Promise<{ readonly lines: readonly string[]; readonly count: number }> {
  let lines: string[] = [];
  let count = 0;
  try {
    const { links } = await ports.routes.dumpTopology();
    const names = new Map(links.map(({ index, name }) => [index, name]));
    const nameOf = (index: number) => names.get(index) ?? `if${index}`;
    await ports.routes.dumpRoutes(() => {
      lines = [];
      count = 0;
      return (route) => {
        if (!isOurs(route)) return;
        if (count++ < ROUTES_NAMED_MAX) {
          lines.push(`route ${route.prefix} ${describeRoute(route, nameOf)}`);
        }
      };
    });
  } catch (error) {
    if (!(error instanceof KernelUnavailableError)) throw error;
    unseen.push(`the routes cannot be listed: ${error.message}`);
  }
  if (count > lines.length) lines.push(`and ${count - lines.length} more routes of protocol 17`);
  return { lines, count };
}

async function lookForOverlay(ports: CleanupPorts, unseen: string[]): Promise<OwnOverlay> {
  try {
    return await findOwnOverlay(ports.overlay);
  } catch (error) {
    if (!(error instanceof OverlayKernelError)) throw error;
    unseen.push(`the tunnels cannot be listed: ${error.message}`);
    return { lines: [], operations: [] };
  }
}

async function removeOverlay(
  overlay: OwnOverlay,
  ports: CleanupPorts,
  removed: string[],
  left: string[],
): Promise<void> {
  try {
    const why = await removeOwnOverlay(ports.overlay, overlay);
    left.push(...why);
    const count = overlay.lines.length - why.length;
    if (count > 0) removed.push(`tunnels, and routes and rules of table 77: ${count}`);
  } catch (error) {
    if (!(error instanceof OverlayKernelError)) throw error;
    left.push(`tunnels: ${error.message}`);
  }
}

async function lookForSets(ports: CleanupPorts, notes: string[]): Promise<readonly string[]> {
  try {
    const { own, foreign } = await findOwnSets(ports.sets);
    for (const { name, why } of foreign) {
      notes.push(`ipset ${name} stays, since it is not ours: ${why}`);
    }
    return own;
  } catch (error) {
    if (!(error instanceof SetsError)) throw error;
    // Mostly a kernel without ip_set, which has none; and what refers to a set is looked at above.
    notes.push(`the ipsets cannot be listed: ${error.message}`);
    return [];
  }
}

async function removeRoutes(ports: CleanupPorts, removed: string[], left: string[]): Promise<void> {
  try {
    const report = await removeAllRoutes(ports.routes);
    if (report.removed > 0) removed.push(`routes of protocol 17: ${report.removed}`);
    for (const { prefix, message } of report.failures) left.push(`route ${prefix}: ${message}`);
  } catch (error) {
    if (!(error instanceof KernelUnavailableError)) throw error;
    left.push(`routes: ${error.message}`);
  }
}

async function removeFoundSets(
  names: readonly string[],
  ports: CleanupPorts,
  removed: string[],
  left: string[],
): Promise<void> {
  try {
    const report = await removeSets(ports.sets, names);
    for (const name of report.removed) removed.push(`ipset ${name}`);
    for (const { name, why } of report.kept) left.push(`ipset ${name}: ${why}`);
  } catch (error) {
    if (!(error instanceof SetsError)) throw error;
    left.push(`ipsets: ${error.message}`);
  }
}

async function outcome(task: () => Promise<void>): Promise<string | undefined> {
  try {
    await task();
    return undefined;
  } catch (error) {
    if (!(error instanceof FileError)) throw error;
    return error.message;
  }
}
