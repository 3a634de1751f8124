/**
 * Operations of one send in columns: row i is one operation. `RouteOperation` says the same in an
 * object, for whoever wants one.
 */
import type { IpAddress } from "../ip/address.ts";
import { formatPrefix, PrefixBatch } from "../ip/prefix-batch.ts";
import type { PrefixId } from "./prefix-index.ts";
import { Shape } from "./shapes.ts";
import type { KernelRoute, RouteOperation } from "./types.ts";
import { usualRoute } from "./view.ts";

/** The kinds of {@link RouteOperation} in a column. */
export const OperationKind = { create: 0, replace: 1, delete: 2 } as const;
export type OperationKind = (typeof OperationKind)[keyof typeof OperationKind];

const KIND_NAMES = ["create", "replace", "delete"] as const;

export class OperationBatch {
  count = 0;
  /** What each is about; the batch's own family has no meaning, for both are in it. */
  readonly prefixes = new PrefixBatch();
  readonly ids: PrefixId[] = [];
  readonly kinds: OperationKind[] = [];
  /** What is made, or removed; an unusual route that is removed stands for itself. */
  readonly targets: (Shape | KernelRoute)[] = [];
  /** Of the wanted route, where it was one; for words about a failure. */
  readonly nextHops: (readonly IpAddress[])[] = [];

  reset(): void {
    this.count = 0;
    this.prefixes.reset(4);
  }

  /** Adds an operation on the prefix of row `at` of a batch. */
  add(
    from: PrefixBatch,
    at: number,
    id: PrefixId,
    kind: OperationKind,
    target: Shape | KernelRoute,
    nextHops: readonly IpAddress[],
  ): void {
    const row = this.count++;
    const { prefixes } = this;
    const length = from.length[at]!;
    if (from.family === 4) prefixes.push4(from.word0[at]!, length);
    else prefixes.push6(from.word0[at]!, from.word1[at]!, from.word2[at]!, from.word3[at]!, length);
    this.ids[row] = id;
    this.kinds[row] = kind;
    this.targets[row] = target;
    this.nextHops[row] = nextHops;
  }

  operation(row: number): RouteOperation {
    const target = this.targets[row]!;
    const kind = KIND_NAMES[this.kinds[row]!];
    if (!(target instanceof Shape)) return { kind: "delete", prefix: target.prefix, route: target };
    const { word0, word1, word2, word3, length } = this.prefixes;
    const words = [word0[row]!, word1[row]!, word2[row]!, word3[row]!] as const;
    const prefix = formatPrefix(target.family, ...words, length[row]!);
    if (kind === "delete") return { kind, prefix, route: usualRoute(prefix, target) };
    const { hops, source } = target;
    return { kind, prefix, hops, source };
  }

  /** All as objects. */
  operations(): RouteOperation[] {
    return Array.from({ length: this.count }, (_, row) => this.operation(row));
  }
}
