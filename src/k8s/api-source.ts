/**
 * Nodes from the Kubernetes API, followed for as long as the agent lives: list once, then watch
 * from the list's version, and whenever the watch ends watch again from where it was.
 *
 *   list ──done──▶ watch ──end, silence──▶ watch …
 *    ▲               │ 410 Gone (the version is too old)
 *    └───────────────┘ a new list; what is missing in it was deleted
 *
 * No list is older than what is known, that of an earlier run included: a server whose memory lags
 * behind would take Nodes away that are there. One that was restored from a backup says nothing at
 * all of later than it knows: after watches without a word there is a list, which it refuses.
 * Nothing that goes wrong withdraws a Node: only an event or a whole list does. Failures are tried
 * again after a jittered, growing delay, and not before the server wants it (Retry-After); a watch
 * that did some good starts over without one.
 * Events take effect in the tick in which they arrive, those of one piece of the stream together.
 */
import type { IpAddress } from "../ip/address.ts";
import { type BackoffOptions, backoffMs } from "../runtime/backoff.ts";
import type { Clock, Random, Timer } from "../runtime/clock.ts";
import type { Log, LogFields } from "../runtime/log.ts";
import { ApiError, type ApiErrorKind, type ApiTransport } from "./api-transport.ts";
import { type ListOptions, NodeList } from "./node-list.ts";
import type { NodeSource, NodeSourceStatus, Nodes, OnNodes } from "./node-source.ts";
import { NodeStore } from "./node-store.ts";
import { NodeWatch, WATCH_SILENCE_MS } from "./node-watch.ts";

/** A thousand agents that come back spread over the delay: jitter is half of it. */
const RETRY: BackoffOptions = { firstMs: 200, maxMs: 15_000, jitter: 0.5 };

/** Share of what a server asks for (Retry-After) that is waited in addition, at most. */
const RETRY_AFTER_SPREAD = 0.5;

/** A watch that lived so long did some good, even if it said nothing. */
const WATCH_GOOD_MS = 5_000;

/** After so many failures in a row a list is tried instead of a watch, or in pages. */
const WATCH_FAILURES_MAX = 3;

/**
 * After a change of interfaces or addresses a request without an answer is begun anew if it is as
 * old as this, and twice that each further time: an answer that is slow must come in the end.
 */
const ANSWER_MS = 1_000;

export interface ApiSourceParts {
  readonly transport: ApiTransport;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Whether an address of ours is on an interface that is up; taken to be unless given. */
  readonly carries?: (own: IpAddress) => boolean;
}

const CHEAP_LIST: ListOptions = { resourceVersion: "0", paged: true };
const NEWEST_LIST: ListOptions = { resourceVersion: "", paged: true };

const NO_CONTACT = "no contact with the API server; the Nodes known so far are kept";
const IN_CONTACT_AGAIN = "in contact with the API server again";
const GIVEN_AGAIN = "the API server gives the Nodes again";
const NO_WORD = "watches end at once, without a word: the Nodes are listed again and again";
const BEHIND = "the API server has not heard of our version: listing all Nodes that it has now";

export class ApiNodeSource implements NodeSource {
  readonly #transport: ApiTransport;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #log: Log;
  readonly #store = new NodeStore();
  #onChange: OnNodes = () => {};
  readonly #carries: (own: IpAddress) => boolean;
  /** The list or watch under way, and what it comes to when it fails. */
  #current: NodeList | NodeWatch | undefined;
  #failed: (error: ApiError) => void = () => {};
  /** When it began, monotonic ms. */
  #begun = 0;
  #answered = false;
  /** How often that was begun anew since the last answer. */
  #hurries = 0;
  #retry: { readonly timer: Timer; readonly step: () => void } | undefined;
  /** Our address of what is under way, once it is known to be on an interface that is up. */
  #from: IpAddress | undefined;
  #version = "";
  /** What went wrong last. */
  #failure: ApiErrorKind | undefined;
  /** What the server asked for with that, ms; until the next request. */
  #retryAfterMs = 0;
  /** Since the last watch that did some good. */
  #failures = 0;
  #expiries = 0;
  /** Watches in a row that ended properly and did no good. */
  #wordlessEnds = 0;
  /** For how long watches that were accepted have said nothing, ms; not even where they are. */
  #wordlessMs = 0;
  #synced = false;
  #connected = false;
  /** What the log has said of the outage that lasts. */
  readonly #told = new Set<string>();
  #lastSync: number | undefined;
  #lastError: { readonly at: number; readonly reason: string } | undefined;

  constructor(parts: ApiSourceParts) {
    this.#transport = parts.transport;
    this.#clock = parts.clock;
    this.#random = parts.random;
    this.#log = parts.log;
    this.#carries = parts.carries ?? (() => true);
  }

  start(onChange: OnNodes, known: Nodes = new Map(), version?: string): void {
    this.#onChange = onChange;
    this.#store.seed(known);
    this.#version = version ?? "";
    this.#list(version === undefined ? CHEAP_LIST : this.#catchUpList());
  }

  /**
   * The next try is not waited for, if there was no answer. What is under way is begun anew where
   * its address is gone or its link is down: no octet comes to it, and TCP would take half a minute
   * to say so; after a short outage either side would keep what it has to say for as long as the
   * outage again.
   */
  underlayChanged(): void {
    if (this.#retry === undefined) this.#lookAtConnection();
    const waiting = this.#retry;
    if (waiting === undefined || this.#failure !== "unreachable") return;
    waiting.timer.cancel();
    this.#retry = undefined;
    waiting.step();
  }

  async stop(): Promise<void> {
    this.#connected = false;
    this.#retry?.timer.cancel();
    this.#retry = undefined;
    this.#current?.abort();
    this.#current = undefined;
    this.#transport.reset();
  }

  status(): NodeSourceStatus {
    return {
      kind: "api",
      origin: this.#transport.origin,
      synced: this.#synced,
      connected: this.#connected,
      lastSync: this.#lastSync,
      lastError: this.#lastError,
      nodes: this.#store.size,
      version: this.#synced ? this.#version : undefined,
      problems: this.#store.problems,
    };
  }

  #list(options: ListOptions): void {
    const staged = this.#store.stage();
    this.#begins((error) => {
      this.#fail(error);
      if (error.kind === "gone" || error.kind === "version") {
        // Pages that expire for the second time are not tried again.
        const paged = !options.paged || this.#expiries === 0;
        this.#relist({ ...NEWEST_LIST, paged });
        return;
      }
      // What is begun and never ends in one piece may in pages.
      const useless = this.#answered || error.kind === "refused";
      const tried = !options.paged && useless && this.#failures > WATCH_FAILURES_MAX;
      this.#later(() => this.#list(tried ? NEWEST_LIST : options));
    });
    this.#current = new NodeList(this.#transport, this.#clock, staged, options, {
      done: (version) => {
        this.#version = version;
        this.#wordlessMs = 0;
        this.#inContact();
        const changed = this.#store.replace(staged);
        const first = !this.#synced;
        this.#synced = true;
        if (first) this.#log.info({ nodes: this.#store.size }, "Nodes are in step with the API");
        this.#watch();
        // Of a whole list it is not known what is new in it.
        if (changed || first) this.#onChange(this.#store.nodes);
      },
      failed: (error) => this.#failed(error),
      open: () => this.#opened(),
    });
  }

  #watch(): void {
    let events = 0;
    let said = false;
    const ended = (error: ApiError | undefined) => {
      const lastedMs = this.#clock.now() - this.#begun;
      // One that was never answered may have lasted, too: as long as TCP takes to give up.
      if (events > 0 || (lastedMs >= WATCH_GOOD_MS && this.#answered)) this.#good();
      else if (error === undefined) this.#wordlessEnds++;
      if (said) this.#wordlessMs = 0;
      else if (this.#answered) this.#wordlessMs += lastedMs;
      this.#watchEnded(error);
    };
    this.#begins(ended);
    this.#current = new NodeWatch(this.#transport, this.#clock, this.#random, this.#version, {
      open: () => {
        this.#inContact();
        this.#opened();
      },
      put: (object) => {
        this.#store.put(object);
        events++;
      },
      remove: (object) => {
        this.#store.remove(object);
        events++;
      },
      reject: (problem) => this.#store.reject(problem),
      progress: (version) => {
        said = true;
        if (version !== this.#version) events++;
        this.#version = version;
        this.#lastSync = this.#clock.wall();
        const changed = this.#store.takeChanged();
        if (changed.size > 0) this.#onChange(this.#store.nodes, changed);
      },
      end: ended,
    });
  }

  /** A list or watch, of which `failed` says what it comes to if it fails. */
  #begins(failed: (error: ApiError) => void): void {
    this.#failed = failed;
    this.#begun = this.#clock.now();
    this.#answered = false;
    this.#from = undefined;
    this.#retryAfterMs = 0;
  }

  #opened(): void {
    this.#answered = true;
    this.#hurries = 0;
    const own = this.#current?.localAddress;
    if (own !== undefined && this.#carries(own)) this.#from = own;
  }

  /** Gives up what is under way if nothing is to be hoped for from it. */
  #lookAtConnection(): void {
    if (this.#current === undefined) return;
    const own = this.#current.localAddress;
    const carried = own !== undefined && this.#carries(own);
    if (carried) this.#from = own;
    if (own !== undefined && own === this.#from && !carried) {
      this.#giveUp(`${own} is on no interface that is up`);
    } else if (!this.#answered && this.#waited()) {
      this.#hurries++;
      this.#giveUp("no answer yet, and interfaces or addresses are others now");
    }
  }

  #waited(): boolean {
    return this.#clock.now() - this.#begun >= ANSWER_MS * 2 ** this.#hurries;
  }

  #giveUp(reason: string): void {
    this.#current?.abort();
    this.#failed(new ApiError("unreachable", reason));
  }

  #watchEnded(error: ApiError | undefined): void {
    if (error === undefined) {
      // Proper ends come after minutes; one at once must not turn into a busy loop.
      if (this.#failures++ === 0) this.#resume();
      else if (this.#wordlessEnds <= WATCH_FAILURES_MAX) this.#later(() => this.#resume());
      else this.#listInstead();
      return;
    }
    // What cuts connections that are silent for half a minute (a load balancer) is no outage.
    const again = error.kind === "unreachable" && this.#failures === 0;
    this.#fail(error, again);
    switch (error.kind) {
      case "gone":
        this.#relist(this.#expiries === 0 ? this.#catchUpList() : NEWEST_LIST);
        return;
      case "version":
      case "refused":
        this.#later(() => this.#list(NEWEST_LIST));
        return;
      case "busy":
      case "answer":
        if (this.#failures > WATCH_FAILURES_MAX) this.#later(() => this.#list(this.#catchUpList()));
        else this.#later(() => this.#watch());
        return;
      case "unreachable":
        if (again) this.#resume();
        else this.#later(() => this.#resume());
        return;
      case "throttled":
      case "unauthorized":
      case "forbidden":
      case "credentials":
        // Never a list in its place: whoever is short of time has the least of it for that.
        this.#later(() => this.#watch());
        return;
    }
  }

  /** No server ends watches so, and whatever does would keep all news from us. */
  #listInstead(): void {
    const isNews = this.#wordlessEnds === WATCH_FAILURES_MAX + 1;
    if (isNews) this.#log.warn({ server: this.#transport.origin }, NO_WORD);
    this.#later(() => this.#list(this.#catchUpList()));
  }

  /** Another watch, or a list where it cannot be told whether the server knows of our version. */
  #resume(): void {
    if (this.#wordlessMs < WATCH_SILENCE_MS) this.#watch();
    else this.#list(this.#catchUpList());
  }

  /**
   * What the server has in memory if that is not older than what is known here, and from etcd if it
   * is: when a server starts, a thousand agents ask. In pages it would be etcd's each time.
   */
  #catchUpList(): ListOptions {
    return { resourceVersion: this.#version, paged: false };
  }

  /** The version is gone: at once for the first time, with a delay when it keeps happening. */
  #relist(options: ListOptions): void {
    if (this.#expiries++ === 0) this.#list(options);
    else this.#later(() => this.#list(options));
  }

  #later(step: () => void): void {
    const own = backoffMs(RETRY, this.#failures - 1, this.#random);
    // All that were refused together are asked for the same: what they add is their own.
    const asked = this.#retryAfterMs * (1 + RETRY_AFTER_SPREAD * this.#random());
    const delay = Math.max(own, asked);
    this.#retry?.timer.cancel();
    const timer = this.#clock.after(delay, () => {
      this.#retry = undefined;
      step();
    });
    this.#retry = { timer, step };
  }

  #good(): void {
    this.#failures = 0;
    this.#expiries = 0;
    this.#wordlessEnds = 0;
  }

  #inContact(): void {
    if (this.#told.size > 0) {
      const again = this.#told.has(NO_CONTACT) ? IN_CONTACT_AGAIN : GIVEN_AGAIN;
      this.#log.info({ server: this.#transport.origin }, again);
    }
    this.#told.clear();
    this.#connected = true;
    this.#lastSync = this.#clock.wall();
  }

  /** `passing`: a try is made at once, and if that fails too the server is away. */
  #fail(error: ApiError, passing = false): void {
    this.#failures++;
    this.#failure = error.kind;
    this.#retryAfterMs = error.retryAfterMs;
    const { message: reason, kind } = error;
    if (kind === "gone") {
      this.#log.info({}, "the API server has forgotten our version: listing all Nodes again");
      return;
    }
    this.#lastError = { at: this.#clock.wall(), reason };
    if (kind === "version") this.#log.info({ reason }, BEHIND);
    else this.#tell({ server: this.#transport.origin, reason, kind }, outageWords(kind), passing);
    if (!passing) this.#connected = false;
    this.#transport.reset();
  }

  /** Once an outage each; a further try would only say the same. */
  #tell(fields: LogFields, words: string, passing: boolean): void {
    if (passing || this.#told.has(words)) {
      this.#log.debug(fields, "still no Nodes from the API server");
      return;
    }
    this.#told.add(words);
    this.#log.warn(fields, words);
  }
}

function outageWords(kind: ApiErrorKind): string {
  if (kind === "unreachable") return NO_CONTACT;
  if (kind === "credentials") {
    return "the API server cannot be asked for the Nodes; those known so far are kept";
  }
  return "the API server does not give the Nodes; those known so far are kept";
}
