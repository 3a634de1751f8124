/** What the controller needs of the kernel. Every call may reject with SetsError. */
import type { ActualHeader, ActualSet, SetParameters } from "./types.ts";

export interface SetsKernel {
  /** Undefined when there is no set of that name. */
  header(name: string): Promise<ActualHeader | undefined>;
  /** With members; only for the types of our sets. */
  list(name: string): Promise<ActualSet | undefined>;
  /** Makes an empty set with timeout 0; rejects when one with other parameters is there. */
  create(parameters: SetParameters): Promise<void>;
  /** Adds members with timeout 0, also those there already; returns those refused. */
  add(name: string, members: readonly string[]): Promise<readonly MemberFailure[]>;
  /** Removes members, also those gone already; returns those refused. */
  remove(name: string, members: readonly string[]): Promise<readonly MemberFailure[]>;
  /** Exchanges the contents of two sets of one type and family. */
  swap(one: string, other: string): Promise<void>;
  /** No error when there is none; SET_BUSY when something refers to it. */
  destroy(name: string): Promise<void>;
}

export interface MemberFailure {
  readonly member: string;
  readonly message: string;
}

/**
 * - `unavailable`: no set can be looked at or changed: a missing capability, no ip_set;
 * - `mismatch`: two sets that cannot be exchanged;
 * - `busy`: something refers to the set;
 * - `failed`: anything else, about this request.
 */
export type SetsErrorKind = "unavailable" | "mismatch" | "busy" | "failed";

export class SetsError extends Error {
  override readonly name = "SetsError";
  readonly kind: SetsErrorKind;

  constructor(kind: SetsErrorKind, message: string, options?: { readonly cause?: unknown }) {
    super(message, options);
    this.kind = kind;
  }
}
