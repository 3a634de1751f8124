/**
 * What routes of ours look like apart from their prefix: few, and each has a number, so that the
 * route of a prefix is one number too. Two with the same ways are one shape, in whatever order.
 */
import type { IpAddress, IpFamily } from "../ip/address.ts";
import { type Hop, ourMetric } from "./types.ts";

/** Made by {@link Shapes} alone; those of one table with the same content are the same object. */
export class Shape {
  /** From 1 on, in its table. */
  readonly id: number;
  readonly family: IpFamily;
  readonly hops: readonly Hop[];
  readonly source: IpAddress | undefined;
  readonly tos = 0;
  readonly metric: number;

  constructor(id: number, family: IpFamily, hops: readonly Hop[], source: IpAddress | undefined) {
    this.id = id;
    this.family = family;
    this.hops = hops;
    this.source = source;
    this.metric = ourMetric(family);
  }
}

export class Shapes {
  readonly #list: Shape[] = [];
  readonly #byContent = new Map<string, Shape>();
  /** Routes that go the same way mostly have one list. */
  readonly #byHops = new WeakMap<readonly Hop[], Shape>();

  at(id: number): Shape {
    return this.#list[id - 1]!;
  }

  /** Whether one of them leads over that interface; no route need have it any more. */
  leadOver(link: number): boolean {
    return this.#list.some(({ hops }) => leadsOver(hops, link));
  }

  of(family: IpFamily, hops: readonly Hop[], source: IpAddress | undefined): Shape {
    const known = this.#byHops.get(hops);
    if (known !== undefined && known.family === family && known.source === source) return known;
    const key = `${family} ${source} ${hops.map(hopKey).sort().join()}`;
    let shape = this.#byContent.get(key);
    if (shape === undefined) {
      shape = new Shape(this.#list.length + 1, family, hops, source);
      this.#list.push(shape);
      this.#byContent.set(key, shape);
    }
    this.#byHops.set(hops, shape);
    return shape;
  }
}

/** Whether one of the ways is over that interface. */
export function leadsOver(hops: readonly Hop[], link: number): boolean {
  return hops.some((hop) => hop.link === link);
}

function hopKey({ gateway, link, weight, onLink }: Hop): string {
  return `${gateway} ${link} ${weight} ${onLink}`;
}
