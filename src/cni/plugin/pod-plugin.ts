/**
 * The agent's half of the plugin podrouter-cni: what each command does. An ADD picks addresses,
 * writes the lease down and makes the links, the writing and the making side by side; a pod has its
 * addresses only when both are done. So of a death at any point there is left
 *
 *   a lease without a link    nobody has the address: freed at the next start, or when none is left
 *   a link without a lease    its alias says whose it is: the lease is taken over at the next start
 *
 * and never an address that two have. Calls for one attachment go one after the other.
 */
import { familyOf, type IpAddress, parseAddress } from "../../ip/address.ts";
import type { Prefix } from "../../ip/prefix.ts";
import { FileError } from "../../runtime/files.ts";
import type { JsonObject } from "../../runtime/json.ts";
import type { Log } from "../../runtime/log.ts";
import type { CniCondition } from "../types.ts";
import type { RangeAddress } from "./address-ranges.ts";
import {
  type Attachment,
  attachmentKey,
  encodeAlias,
  hostLinkName,
  type Lease,
} from "./attachment.ts";
import { LeaseBook } from "./lease-book.ts";
import { type LeaseFile, LeaseStore } from "./lease-store.ts";
import {
  damaged,
  exhausted,
  notKept,
  notStarted,
  refusalError,
  translated,
} from "./plugin-errors.ts";
import type { PluginRequest } from "./request.ts";
import { resultOf } from "./result.ts";
import { CniSpecError, Code } from "./spec.ts";
import { type PodWiring, WiringError } from "./wiring.ts";

/** What other plugins have given out on this node, as far as it can be seen. */
export interface ForeignLeases {
  /** Addresses of a network that host-local gave out. */
  taken(network: string): Promise<ReadonlySet<string>>;
  /** Frees what host-local gave to an attachment that is deleted. */
  release(attachment: Attachment): Promise<void>;
}

export interface PodPluginDeps {
  readonly wiring: PodWiring;
  readonly file: LeaseFile;
  readonly foreign: ForeignLeases;
  /** Why kube-bridge is left alone, where it is somebody else's; undefined when it is not. */
  readonly foreignBridge: () => string | undefined;
  readonly log: Log;
}

type AddRequest = Extract<PluginRequest, { readonly command: "ADD" | "CHECK" }>;
type DelRequest = Extract<PluginRequest, { readonly command: "DEL" }>;
type GcRequest = Extract<PluginRequest, { readonly command: "GC" }>;

export class PodPlugin {
  readonly #deps: PodPluginDeps;
  readonly #book = new LeaseBook();
  readonly #store: LeaseStore;
  /** Of each attachment the call that was asked for last. */
  readonly #turns = new Map<string, Promise<unknown>>();
  /** Of each listing of the links under way: the attachments of which it may say what was. */
  readonly #listings = new Set<Set<string>>();
  #started: Promise<void> | undefined;
  #haveRanges = false;
  /** Where a damaged file is that was found at the start; said until the end. */
  #damaged: string | undefined;
  #problem: CniCondition | undefined;
  #unwritten: FileError | undefined;

  constructor(deps: PodPluginDeps) {
    this.#deps = deps;
    this.#store = new LeaseStore(this.#book, deps.file);
  }

  /** Reads what is known and compares it with the links; after a failure the next call does. */
  start(): Promise<void> {
    this.#started ??= this.#load().catch((error: unknown) => {
      this.#started = undefined;
      this.#problem = notStarted(error);
      throw error;
    });
    return this.#started;
  }

  /** Tries again what failed, where no call does: to be called now and then. Never rejects. */
  async tend(): Promise<void> {
    const started = await this.start().then(
      () => true,
      () => false,
    );
    if (started && this.#unwritten !== undefined) await this.#saveOrSay();
  }

  /** The node's pod CIDRs, in the order of the Node. */
  setRanges(podCidrs: readonly Prefix[]): void {
    this.#book.setRanges(podCidrs);
    this.#haveRanges = podCidrs.length > 0;
  }

  conditions(): readonly CniCondition[] {
    const full = this.#haveRanges ? this.#book.refusal() : undefined;
    return [
      ...(this.#problem === undefined ? [] : [this.#problem]),
      ...(this.#damaged === undefined ? [] : [damaged(this.#damaged)]),
      ...(this.#unwritten === undefined ? [] : [notKept(this.#unwritten)]),
      ...(full === undefined ? [] : [exhausted(full)]),
    ];
  }

  /**
   * Carries a call out; gives what it prints, if anything.
   * @throws {CniSpecError} nothing else, but for bugs.
   */
  async handle(request: PluginRequest): Promise<JsonObject | undefined> {
    try {
      await this.start();
    } catch (error) {
      throw whileStarting(request, error);
    }
    try {
      switch (request.command) {
        case "ADD":
          return await this.#inTurn(request, () => this.#add(request));
        case "CHECK":
          return await this.#inTurn(request, () => this.#check(request));
        case "DEL":
          return await this.#inTurn(request, () => this.#delete(request));
        case "GC":
          return await this.#collect(request);
        case "STATUS":
          return await this.#status();
      }
    } catch (error) {
      throw translated(error);
    }
  }

  async #load(): Promise<void> {
    // A try before this one may have put it aside.
    this.#damaged = (await this.#store.load()) ?? this.#damaged;
    await this.#reconcile();
    this.#problem = undefined;
  }

  /** One after the other for one attachment; whoever asks later goes later. */
  async #inTurn<T>(attachment: Attachment, task: () => Promise<T>): Promise<T> {
    const key = attachmentKey(attachment);
    const before = this.#turns.get(key) ?? Promise.resolve();
    const turn = before.then(task);
    const settled = turn.then(
      () => undefined,
      () => undefined,
    );
    this.#turns.set(key, settled);
    for (const unclear of this.#listings) unclear.add(key);
    try {
      return await turn;
    } finally {
      if (this.#turns.get(key) === settled) this.#turns.delete(key);
    }
  }

  async #add(request: AddRequest): Promise<JsonObject> {
    const wanted = wantedAddresses(request);
    const foreign = this.#deps.foreignBridge();
    if (foreign !== undefined) throw new CniSpecError(Code.TRY_AGAIN_LATER, foreign);
    const before = this.#book.find(request);
    const { lease, known } = await this.#reserve(request, wanted);
    const addresses = this.#book.describe(lease) as readonly RangeAddress[];
    const recorded = this.#store.save();
    // Whoever makes the links waits for it; without them nobody would.
    recorded.catch(() => undefined);
    const { netns, mtu, linkAddress, cniVersion, previous } = request;
    try {
      const gateways = this.#book.gateways();
      const order = { lease, addresses, gateways, netns, mtu, linkAddress, recorded };
      const connected = await this.#deps.wiring.connect(order);
      this.#unwritten = undefined;
      if (before !== undefined) this.#book.settle(lease, before);
      return resultOf({ cniVersion, netns, connected, addresses, previous });
    } catch (error) {
      if (error instanceof FileError) this.#unwritten = error;
      if (!known) {
        // Of an earlier pod CIDR, and the pod may well run with it: an ADD without DEL.
        if (before !== undefined) this.#book.settle(before, lease);
        else this.#book.release(lease);
        await this.#saveOrSay();
      }
      throw error;
    }
  }

  async #reserve(
    request: AddRequest,
    wanted: readonly IpAddress[],
  ): Promise<{ readonly lease: Lease; readonly known: boolean }> {
    const foreign = await this.#deps.foreign.taken(request.network);
    const isForeign = (address: IpAddress) => foreign.has(address);
    let reserved = this.#book.reserve(request, wanted, isForeign);
    if (!reserved.ok && (reserved.refusal.why === "full" || reserved.refusal.why === "too-many")) {
      await this.#reconcile();
      reserved = this.#book.reserve(request, wanted, isForeign);
    }
    if (!reserved.ok) throw refusalError(reserved.refusal);
    return reserved;
  }

  async #delete(request: DelRequest): Promise<undefined> {
    const { wiring, foreign } = this.#deps;
    const known = this.#book.find(request) !== undefined;
    const removed = await wiring.disconnect(hostLinkName(request));
    if (known) {
      this.#book.release(request);
      await this.#saveOrSay();
    }
    if (known || removed) return;
    // A pod of the plugin that was here before, or one of whom nothing is left.
    const { netns, interfaceName } = request;
    if (netns !== undefined) await wiring.removeInside(netns, interfaceName);
    await foreign.release(request);
  }

  async #check(request: AddRequest): Promise<undefined> {
    const lease = this.#book.find(request);
    const addresses = lease === undefined ? [] : this.#book.describe(lease);
    if (lease === undefined || !addresses.every((one) => one !== undefined)) {
      const text =
        lease === undefined
          ? "no address is known of it"
          : "its addresses are in no pod CIDR of this node any more";
      throw new CniSpecError(Code.CHECK_FAILED, `${request.interfaceName}: ${text}`);
    }
    const said = new Set(
      request.previous!.ips.map(({ address }) => String(address).split("/", 1)[0]),
    );
    const problems = [
      ...lease.addresses
        .filter((address) => !said.has(address))
        .map((address) => `prevResult lacks ${address}`),
      ...(await this.#deps.wiring.inspect({ lease, addresses, netns: request.netns })),
    ];
    if (problems.length === 0) return;
    throw new CniSpecError(Code.CHECK_FAILED, problems[0]!, problems.slice(1).join("; "));
  }

  /**
   * What is in nobody's list is removed, links too; what is being made at the moment is not. As the
   * specification asks (§2 "GC"), what cannot be removed holds nothing else up.
   */
  async #collect({ network, keep }: GcRequest): Promise<undefined> {
    const kept = new Set(keep.map((owner) => attachmentKey({ network, ...owner })));
    const { ends, unclear } = await this.#listEnds();
    const known = [...this.#book.leases(), ...ends.flatMap(({ lease }) => lease ?? [])];
    let failure: WiringError | undefined;
    for (const lease of known) {
      const key = attachmentKey(lease);
      if (lease.network !== network || kept.has(key)) continue;
      if (unclear.has(key) || this.#turns.has(key)) continue;
      await this.#inTurn(lease, async () => {
        await this.#deps.wiring.disconnect(hostLinkName(lease));
        if (this.#book.release(lease)) this.#deps.log.info({ ...lease }, "pod collected");
      }).catch((error: unknown) => {
        if (!(error instanceof WiringError)) throw error;
        failure ??= error;
      });
    }
    await this.#saveOrSay();
    if (failure !== undefined) throw failure;
  }

  async #status(): Promise<undefined> {
    const refusal = this.#book.refusal();
    if (refusal !== undefined) {
      const { message, details } = refusalError(refusal);
      throw new CniSpecError(Code.NOT_AVAILABLE, message, details);
    }
    const foreign = this.#deps.foreignBridge();
    if (foreign !== undefined) throw new CniSpecError(Code.NOT_AVAILABLE, foreign);
    const problem = await this.#deps.wiring.bridgeProblem();
    if (problem !== undefined) throw new CniSpecError(Code.LIMITED_CONNECTIVITY, problem);
  }

  /**
   * Frees leases of pods that are gone, takes over those of pods that are there. Where the two name
   * other addresses, the file is older than the pod.
   */
  async #reconcile(): Promise<void> {
    const { ends, unclear } = await this.#listEnds();
    const marks = new Map(ends.map(({ name, lease }) => [name, lease]));
    const changed: Lease[] = [];
    for (const lease of this.#book.leases()) {
      if (unclear.has(attachmentKey(lease))) continue;
      const name = hostLinkName(lease);
      const mark = marks.get(name);
      const agrees = mark === undefined || encodeAlias(mark) === encodeAlias(lease);
      if (marks.has(name) && agrees) continue;
      this.#book.release(lease);
      changed.push(lease);
      this.#deps.log.info({ ...lease }, "lease of a pod that is gone freed");
    }
    for (const { lease } of ends) {
      if (lease === undefined || unclear.has(attachmentKey(lease))) continue;
      if (!this.#book.adopt(lease)) continue;
      changed.push(lease);
      this.#deps.log.info({ ...lease }, "lease of a running pod taken over");
    }
    if (changed.length > 0) await this.#saveOrSay();
  }

  /** `unclear`: a call was under way for them at some time of the listing, even if it is done. */
  async #listEnds() {
    const unclear = new Set(this.#turns.keys());
    this.#listings.add(unclear);
    try {
      return { ends: await this.#deps.wiring.hostEnds(), unclear };
    } finally {
      this.#listings.delete(unclear);
    }
  }

  /** A lease too many on disk is freed at the next start: no reason to fail. */
  async #saveOrSay(): Promise<void> {
    try {
      await this.#store.save();
      this.#unwritten = undefined;
    } catch (error) {
      if (!(error instanceof FileError)) throw error;
      this.#unwritten = error;
    }
  }
}

function wantedAddresses(request: AddRequest): readonly IpAddress[] {
  const wanted = request.addresses.map((text) => {
    const address = parseAddress(text);
    if (address !== undefined) return address;
    throw new CniSpecError(Code.INVALID_CONFIG, "runtimeConfig.ips has a text that is no address");
  });
  if (new Set(wanted.map(familyOf)).size === wanted.length) return wanted;
  throw new CniSpecError(Code.INVALID_CONFIG, "runtimeConfig.ips has two addresses of one family");
}

function whileStarting(request: PluginRequest, error: unknown): CniSpecError {
  const { message } = notStarted(error);
  const code = request.command === "STATUS" ? Code.NOT_AVAILABLE : Code.TRY_AGAIN_LATER;
  return new CniSpecError(code, message);
}
