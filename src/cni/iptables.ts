/**
 * The packet filter through the programs of iptables: the adapter behind {@link PacketFilter}. The
 * only programs that the agent runs. Reading is `iptables -S`, changing is one
 * `iptables-restore --noflush` a table, which carries all of its lines out or none.
 *
 * A machine has one or both of two back ends (iptables-nft, iptables-legacy), and rules in both are
 * all obeyed; ours belong where kubelet and kube-proxy keep theirs, because the order among rules
 * holds within a back end only. See {@link chooseIptables}.
 */
import type { IpFamily } from "../ip/address.ts";
import { IPTABLES_LOCK_SECONDS } from "./limits.ts";
import { type HoldingFilter, type PacketFilter, PacketFilterError } from "./pod-rules.ts";
import {
  EGRESS_CHAIN,
  mayHoldOurs,
  type PresentRules,
  parseRules,
  type Rule,
  type RuleChanges,
} from "./rules.ts";
import { CUT_OFF, NOT_STARTED, type ProgramResult, type RunProgram } from "./run-program.ts";

type Backend = "nft" | "legacy";

/** Chains that kubelet makes in mangle so that others find the back end that it uses. */
const KUBELET_CHAINS = /^:KUBE-(?:IPTABLES-HINT|KUBELET-CANARY) /m;
const RULE = /^-A /gm;
/** What iptables ends with where somebody has held its lock all the time, or the kernel is busy. */
const BUSY = 4;
/** What it says to who may not do it, and to who may not have the raw socket that sets take. */
const NOT_PERMITTED = /must be root|not permitted|open socket to ipset/i;
const RIGHTS_HINT = " (is CAP_NET_ADMIN or CAP_NET_RAW missing?)";

export interface IptablesDeps {
  readonly run: RunProgram;
  /** As {@link PacketFilter}.generation; asked only where the back end is nft. */
  readonly nftGeneration: () => Promise<number | undefined>;
}

export class Iptables implements PacketFilter {
  readonly version: string;
  readonly randomFully: boolean;
  readonly #names: Readonly<Record<IpFamily, (tool: string) => string>>;
  readonly #backend: Backend;
  readonly #deps: IptablesDeps;

  /** `suffix`: `-nft`, `-legacy`, or nothing for the machine's default. */
  constructor(suffix: string, version: string, deps: IptablesDeps) {
    this.version = version;
    this.#backend = /\(nf_tables\)/.test(version) ? "nft" : "legacy";
    this.randomFully = knowsRandomFully(version);
    this.#names = {
      4: (tool) => `iptables${suffix}${tool}`,
      6: (tool) => `ip6tables${suffix}${tool}`,
    };
    this.#deps = deps;
  }

  async read(family: IpFamily, thorough: boolean): Promise<PresentRules> {
    const answers = await Promise.all([
      this.#run(family, "filter", "FORWARD"),
      this.#run(family, "nat", "POSTROUTING"),
    ]);
    // Of two refusals always the same one is told, whichever came first.
    const forward = parseRules(this.#accepted(family, answers[0]), "FORWARD");
    const postrouting = parseRules(this.#accepted(family, answers[1]), "POSTROUTING");
    const used = postrouting.some((rule) => rule.includes(EGRESS_CHAIN));
    return {
      forward,
      postrouting,
      egressChain: used || thorough ? await this.#egressChain(family) : undefined,
    };
  }

  async change(family: IpFamily, table: keyof RuleChanges, lines: readonly string[]) {
    const input = [`*${table}`, ...lines, "COMMIT", ""].join("\n");
    const program = this.#names[family]("-restore");
    await this.#must(program, ["--noflush", "-w", String(IPTABLES_LOCK_SECONDS)], input);
  }

  async generation(): Promise<number | undefined> {
    return this.#backend === "nft" ? this.#deps.nftGeneration() : undefined;
  }

  /** Mostly it is not there, and iptables has no other way to say so than to fail. */
  async #egressChain(family: IpFamily): Promise<readonly Rule[] | undefined> {
    const program = this.#names[family]("");
    const result = heard(await this.#run(family, "nat", EGRESS_CHAIN), program);
    if (result.status === undefined || result.status === BUSY) throw refusal(program, result);
    return result.status === 0 ? parseRules(result.stdout, EGRESS_CHAIN) : undefined;
  }

  #run(family: IpFamily, table: string, chain: string) {
    const wait = String(IPTABLES_LOCK_SECONDS);
    return this.#deps.run(this.#names[family](""), ["-w", wait, "-t", table, "-S", chain]);
  }

  #accepted(family: IpFamily, result: ProgramResult): string {
    if (result.status === 0) return result.stdout;
    throw refusal(this.#names[family](""), result);
  }

  async #must(program: string, args: readonly string[], input: string): Promise<void> {
    const result = await this.#deps.run(program, args, input);
    if (result.status !== 0) throw refusal(program, result);
  }
}

/**
 * The back end that the machine uses: where kubelet has left its mark, otherwise where more rules
 * are, otherwise nft. With one back end only there is no choice. `other` is the one not chosen,
 * when it holds rules of ours; `unsure`: there is another one, and it would not say what it holds.
 */
export async function chooseIptables(deps: IptablesDeps): Promise<{
  readonly used: Iptables;
  readonly other: HoldingFilter | undefined;
  readonly unsure: boolean;
}> {
  const found = [await candidate("-nft", deps), await candidate("-legacy", deps)] as const;
  const [nft, legacy] = found.map((one) => (one?.mute === true ? undefined : one));
  const unsure = found.some((one) => one?.mute === true);
  if (nft !== undefined && legacy !== undefined) {
    const [used, other] = prefersLegacy(nft, legacy) ? [legacy, nft] : [nft, legacy];
    return { used: used.iptables, other: holding(other), unsure };
  }
  const only = nft ?? legacy ?? (await candidate("", deps));
  if (only === undefined || only.mute) throw await whyNone(deps);
  return { used: only.iptables, other: undefined, unsure };
}

/** What `iptables-nft` says where the kernel has no nf_tables, and so no rule of it. */
const NO_NFTABLES =
  /Failed to initialize nft: Protocol not supported|generation id: Invalid argument/;

/**
 * Every back end that may hold rules of ours; `unseen`: those that would not say what they hold,
 * and why. May reject: {@link PacketFilterError}.
 */
export async function iptablesHolding(deps: IptablesDeps): Promise<{
  readonly holding: readonly HoldingFilter[];
  readonly unseen: readonly string[];
}> {
  const both = [await candidate("-nft", deps), await candidate("-legacy", deps)];
  // As the agent, which takes the plain name where neither of these can be used.
  const isOfUse = (one: Candidate) => !one.mute || one.families.length > 0;
  const used = both.some((one) => one !== undefined && isOfUse(one));
  const plain = used ? [] : [await candidate("", deps)];
  const there = [...both, ...plain].filter((one) => one !== undefined);
  return {
    holding: there.flatMap((one) => holding(one) ?? []),
    unseen: there
      .flatMap(({ refused }) => refused.map(({ message }) => message))
      .filter((message) => !NO_NFTABLES.test(message)),
  };
}

function holding({ iptables: filter, families }: Candidate): HoldingFilter | undefined {
  return families.length > 0 ? { filter, families } : undefined;
}

/** It is not there, or it is and cannot work: no rights, no support in the kernel. */
async function whyNone({ run }: IptablesDeps): Promise<PacketFilterError> {
  const { status } = await run("iptables", ["--version"]);
  if (status !== 0) return new PacketFilterError("missing", "iptables is not installed");
  return refusal("iptables-save", await run("iptables-save", []));
}

interface Candidate {
  readonly iptables: Iptables;
  readonly rules: number;
  /**
   * In which it may hold rules of ours. Elsewhere a listing would load the kernel's modules, or
   * fail for want of them: others may have rules in one table, where there is no other table.
   */
  readonly families: readonly IpFamily[];
  readonly kubelet: boolean;
  /** Why families were not listed: the kernel does not do what it wants, or not now. */
  readonly refused: readonly PacketFilterError[];
  /** IPv4 was not, so it cannot be used. */
  readonly mute: boolean;
}

/** Undefined: the program is missing. */
async function candidate(suffix: string, deps: IptablesDeps): Promise<Candidate | undefined> {
  const version = heard(await deps.run(`iptables${suffix}`, ["--version"]), `iptables${suffix}`);
  if (version.status !== 0) return undefined;
  const iptables = new Iptables(suffix, version.stdout.trim(), deps);
  const families: IpFamily[] = [];
  const refused: PacketFilterError[] = [];
  let mute = false;
  let rules = 0;
  let kubelet = false;
  for (const [family, tool] of [
    [4, "iptables"],
    [6, "ip6tables"],
  ] as const) {
    const program = `${tool}${suffix}-save`;
    const saved = heard(await deps.run(program, []), program);
    if (saved.status !== 0) {
      refused.push(refusal(program, saved));
      mute ||= family === 4;
    }
    rules += saved.stdout.match(RULE)?.length ?? 0;
    if (mayHoldOurs(saved.stdout)) families.push(family);
    kubelet ||= KUBELET_CHAINS.test(saved.stdout);
  }
  return { iptables, rules, families, kubelet, refused, mute };
}

/** What was not asked, or not to the end, says neither that something is there nor that not. */
function heard(result: ProgramResult, program: string): ProgramResult {
  const { status } = result;
  if (status === NOT_STARTED || status === CUT_OFF) throw refusal(program, result);
  return result;
}

function prefersLegacy(nft: Candidate, legacy: Candidate): boolean {
  if (nft.kubelet !== legacy.kubelet) return legacy.kubelet;
  return legacy.rules > nft.rules;
}

/** Since iptables 1.6.2. */
function knowsRandomFully(version: string): boolean {
  const match = /v(\d+)\.(\d+)\.(\d+)/.exec(version);
  if (match === null) return false;
  const [major, minor, patch] = match.slice(1).map(Number) as [number, number, number];
  return major > 1 || (major === 1 && (minor > 6 || (minor === 6 && patch >= 2)));
}

function refusal(
  program: string,
  result: { readonly status: number | undefined; readonly stderr: string },
): PacketFilterError {
  // Both name the program themselves.
  if (result.status === undefined) return new PacketFilterError("missing", result.stderr);
  if (result.status === NOT_STARTED) return new PacketFilterError("failed", result.stderr);
  // Its last lines are advice on where to find help.
  const said = result.stderr.split("\n").find((line) => line.trim() !== "" && !/^# /.test(line));
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is replaced
  const plain = (said ?? `exit ${result.status}`).replace(/[\u0000-\u001f\u007f]/g, " ");
  const hint = NOT_PERMITTED.test(plain) ? RIGHTS_HINT : "";
  return new PacketFilterError("failed", `${program}: ${plain.trim().slice(0, 300)}${hint}`);
}
