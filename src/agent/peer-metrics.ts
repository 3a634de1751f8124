/**
 * Metrics of the peers. Most have a value for each that there is now; peers that went leave nothing
 * behind. Of a thousand peers these are twenty thousand values. prom-client would look each up by
 * its labels, and keep all until the next page is asked for: here they are only listed.
 */
import { Counter, Gauge, type Registry } from "prom-client";
import type { PeerStatus } from "../bgp/types.ts";

type Labels = Partial<Record<string, string | number>>;

interface Value {
  readonly labels: Labels;
  readonly value: number;
}

export interface PeerMetric {
  readonly name: string;
  readonly help: string;
  readonly labels: readonly string[];
  /** Otherwise it is a gauge. */
  readonly counter?: boolean;
  /** Gives the values of a peer, each with labels that no other value has. */
  readonly set: (peer: PeerStatus, put: (labels: Labels, value: number) => void) => void;
}

/** Adds a metric; `peers` is asked each time. */
export function perPeer(
  registers: Registry[],
  peers: () => Iterable<PeerStatus>,
  metric: PeerMetric,
): void {
  const { name, help, labels: labelNames, counter, set } = metric;
  const options = { name, help, labelNames: [...labelNames], registers };
  const list = () => {
    const values: Value[] = [];
    const put = (labels: Labels, value: number) => void values.push({ labels, value });
    for (const peer of peers()) set(peer, put);
    return values;
  };
  if (counter === true) new ListedCounter(options, list);
  else new ListedGauge(options, list);
}

const TYPES = ["internal", "external"] as const;
const STATES = ["up", "down", "shutdown"] as const;

/** How many peers there are of each kind: enough to watch a mesh whose pairs are a million. */
export function peerCounts(registers: Registry[], peers: () => Iterable<PeerStatus>): void {
  new Gauge({
    name: "podrouter_bgp_peers",
    help: "Peers by type, and by session: up, down, or shutdown, as it is asked for",
    labelNames: ["type", "state"],
    registers,
    collect() {
      for (const type of TYPES) for (const state of STATES) this.set({ type, state }, 0);
      for (const { internal, state, adminState } of peers()) {
        const kept = adminState === "down" ? "shutdown" : "down";
        const type = internal ? "internal" : "external";
        this.inc({ type, state: state === "Established" ? "up" : kept });
      }
    },
  });
}

class ListedGauge extends Gauge {
  readonly #list: () => Value[];

  constructor(options: ConstructorParameters<typeof Gauge>[0], list: () => Value[]) {
    super(options);
    this.#list = list;
  }

  override async get() {
    return { ...(await super.get()), values: this.#list() };
  }
}

class ListedCounter extends Counter {
  readonly #list: () => Value[];

  constructor(options: ConstructorParameters<typeof Counter>[0], list: () => Value[]) {
    super(options);
    this.#list = list;
  }

  override async get() {
    return { ...(await super.get()), values: this.#list() };
  }
}
