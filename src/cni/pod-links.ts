/**
 * Keeps the machine's links and settings as pods need them: see links-plan.ts and sysctls.ts. Each
 * pass looks at what is there and removes the difference; a pass is made when what is wanted
 * changes, shortly after a link or an address changed, and every LINKS_PERIOD_MS.
 */
import { familyOf, type IpFamily } from "../ip/address.ts";
import { prefixFamily } from "../ip/prefix.ts";
import { backoffMs } from "../runtime/backoff.ts";
import type { Clock, Random } from "../runtime/clock.ts";
import type { Log } from "../runtime/log.ts";
import { capabilityHint } from "../runtime/operator-text.ts";
import { PassLoop } from "../runtime/pass-loop.ts";
import type { BridgeMemory } from "./bridge-memory.ts";
import { describeOperation, type HostLinks, type LinkOperation } from "./host-links.ts";
import { LINKS_GAP_MS, LINKS_PERIOD_MS, LINKS_ROUNDS_MAX, RETRY } from "./limits.ts";
import { type LinksPlan, type LinksWanted, planLinks } from "./links-plan.ts";
import { keepSysctls, type Sysctls, settleBridge } from "./sysctls.ts";
import type { CniCondition } from "./types.ts";

/** The kernel cannot be talked to, or refused something; an adapter throws nothing else. */
export class LinkKernelError extends Error {
  override readonly name = "LinkKernelError";
  readonly code: string;

  constructor(code: string, message: string, options?: { readonly cause?: unknown }) {
    super(message, options);
    this.code = code;
  }
}

/** Links and addresses. Calls may reject with {@link LinkKernelError}. */
export interface LinkKernel {
  /** Calls back when a link or an address may have changed; again after a failure it must be. */
  open(onEvent: () => void, onFailure: () => void): Promise<void>;
  read(): Promise<HostLinks>;
  apply(operation: LinkOperation): Promise<void>;
  close(): void;
}

export interface PodLinksOptions {
  readonly dryRun?: boolean;
}

export interface PodLinksDeps {
  readonly kernel: LinkKernel;
  readonly sysctls: Sysctls;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Called after each pass. Must not throw. */
  readonly onChanged?: () => void;
}

export type PodLinksState = Pick<LinksPlan, "nodeLink" | "mtu" | "ready" | "foreign" | "former">;

const NOT_SEEN: PodLinksState = {
  nodeLink: undefined,
  mtu: undefined,
  ready: false,
  foreign: undefined,
  former: [],
};

export class PodLinks {
  readonly #dryRun: boolean;
  readonly #deps: PodLinksDeps;
  readonly #loop: PassLoop;
  #wanted: LinksWanted | undefined;
  #opened = false;
  #memory: BridgeMemory | undefined;
  /** What followed from the links when they were looked at last. */
  #seen: LinksPlan | undefined;
  #state = NOT_SEEN;
  #conditions: readonly CniCondition[] = [];
  #planned: readonly string[] = [];
  #failures = 0;

  constructor(options: PodLinksOptions, deps: PodLinksDeps) {
    this.#dryRun = options.dryRun ?? false;
    this.#deps = deps;
    this.#loop = new PassLoop(deps.clock, () => this.#pass());
  }

  start(): void {
    this.#loop.start();
  }

  /** Bridge and settings stay: pods use them. */
  async stop(): Promise<void> {
    await this.#loop.stop();
    this.#close();
  }

  want(wanted: LinksWanted): void {
    this.#wanted = wanted;
    this.#loop.request();
  }

  /** As of the last pass. */
  state(): PodLinksState {
    return this.#state;
  }

  conditions(): readonly CniCondition[] {
    return this.#conditions;
  }

  /** What a dry run holds back. */
  planned(): readonly string[] {
    return this.#planned;
  }

  async #pass(): Promise<number> {
    const wanted = this.#wanted;
    if (wanted === undefined) return LINKS_PERIOD_MS;
    const failure = await this.#keepLinks(wanted);
    const plan = this.#seen;
    // What the bridge cannot have keeps nothing else from the pods.
    const sysctls = plan === undefined ? undefined : await this.#keepSysctls(wanted, plan);
    if (plan !== undefined) {
      const { nodeLink, mtu, ready, foreign, former } = plan;
      this.#state = { nodeLink, mtu, ready: ready && failure === undefined, foreign, former };
    }
    this.#conditions = [
      ...(failure === undefined ? (plan?.conditions ?? []) : [failed(failure)]),
      ...(sysctls === undefined ? [] : [sysctls]),
    ];
    this.#deps.onChanged?.();
    if (failure === undefined) return LINKS_PERIOD_MS;
    return backoffMs(RETRY, this.#failures++, this.#deps.random);
  }

  /** Why not, where it failed. */
  async #keepLinks(wanted: LinksWanted): Promise<LinkKernelError | undefined> {
    try {
      await this.#open();
      const { operations } = await this.#settle(wanted);
      this.#planned = operations.map(describeOperation);
      this.#failures = 0;
      return undefined;
    } catch (error) {
      if (!(error instanceof LinkKernelError)) throw error;
      this.#close();
      return error;
    }
  }

  #keepSysctls(wanted: LinksWanted, plan: LinksPlan): Promise<CniCondition | undefined> {
    const { kind } = wanted;
    const { uplinks, ready: ownBridge } = plan;
    const families = familiesOf(wanted);
    const options = { kind, families, uplinks, ownBridge, dryRun: this.#dryRun };
    return keepSysctls(this.#deps.sysctls, options);
  }

  async #open(): Promise<void> {
    if (this.#opened) return;
    await this.#deps.kernel.open(
      () => this.#loop.request(LINKS_GAP_MS),
      () => {
        this.#opened = false;
        this.#loop.request(LINKS_GAP_MS);
      },
    );
    this.#opened = true;
  }

  #close(): void {
    if (this.#opened) this.#deps.kernel.close();
    this.#opened = false;
  }

  /** One operation leads to the next: a bridge must be there before it can get its ports back. */
  async #settle(wanted: LinksWanted): Promise<LinksPlan> {
    for (let round = 1; ; round++) {
      const plan = planLinks(await this.#deps.kernel.read(), wanted, this.#memory);
      this.#memory = plan.memory;
      this.#seen = plan;
      if (plan.operations.length === 0) return plan;
      if (this.#dryRun) return plan;
      if (round > LINKS_ROUNDS_MAX) {
        throw new LinkKernelError("EAGAIN", "somebody else undoes what is done to it");
      }
      for (const operation of plan.operations) {
        await this.#deps.kernel.apply(operation);
        if (operation.kind === "create-bridge") {
          const kept = plan.memory?.former.map(({ address }) => familyOf(address)) ?? [];
          await settleBridge(this.#deps.sysctls, [...familiesOf(wanted), ...kept]);
        }
        this.#deps.log.info({ ...operation }, "pod link changed");
      }
    }
  }
}

function familiesOf({ nodeIps, podCidrs }: LinksWanted): readonly IpFamily[] {
  return [...new Set([...nodeIps.map(familyOf), ...podCidrs.map(prefixFamily)])].sort();
}

function failed(error: LinkKernelError): CniCondition {
  return {
    name: "pod-links",
    severity: "error",
    message: `the bridge of the pods cannot be kept: ${error.message}${capabilityHint(error.code)}`,
  };
}
