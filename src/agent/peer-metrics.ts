/**
 * Metrics with a value for each peer that there is now; peers that went leave nothing behind. Of a
 * thousand peers they are twenty thousand values. prom-client would look each up by its labels, and
 * keep all until the next page is asked for: here they are only listed.
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
