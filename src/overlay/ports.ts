/** What the keeper of the tunnels needs from the kernel. */
import type { IpAddress } from "../ip/address.ts";
import type { DeviceKind, HostDump, HostLink, Item, OverlayOperation } from "./types.ts";

/** Something changed that was not done through this port. */
export type OverlayEvent =
  /** The kernel speaks of our own changes to a link again when its carrier comes. */
  | { readonly kind: "link"; readonly change: "new" | "delete"; readonly link: HostLink }
  | { readonly kind: "address"; readonly address: IpAddress }
  /**
   * A neighbour or a forwarding entry on that link. The kernel does not say who changed forwarding
   * entries, so what was done through this port comes, too. `item`: undefined when it cannot be
   * told.
   */
  | {
      readonly kind: "entry";
      readonly link: number;
      readonly change: "new" | "delete";
      readonly item: Item | undefined;
    }
  /** A rule or a route of our table. */
  | { readonly kind: "table" };

export interface OverlayListener {
  onEvent(event: OverlayEvent): void;
  /** Events were lost. */
  onOverrun(): void;
  /** The kernel's socket broke; `open` must be called again. */
  onFailure(): void;
}

/** The kernel cannot be talked to; an adapter throws nothing else. */
export class OverlayKernelError extends Error {
  override readonly name = "OverlayKernelError";
  readonly code: string;

  constructor(code: string, message: string, options?: { readonly cause?: unknown }) {
    super(message, options);
    this.code = code;
  }
}

export type OverlayOutcome =
  /** `made`: the device that was made. */
  | { readonly ok: true; readonly made?: HostLink }
  /** By the name of the kernel's error (`EEXIST`), and in its words. */
  | { readonly ok: false; readonly code: string; readonly message: string };

/** By the name of the kernel's error: what was to be removed is not there. */
export const GONE: ReadonlySet<string> = new Set(["ENODEV", "ESRCH", "ENOENT"]);

/** Every call may reject with {@link OverlayKernelError}. */
export interface OverlayKernel {
  /** Begins to listen. From here on every change is in a later `read` or comes as an event. */
  open(listener: OverlayListener): Promise<void>;
  /** Links, addresses, what is on devices of ours, our table and its rules. */
  read(): Promise<HostDump>;
  /** Carries the operations out in order; one that fails stops no other. */
  apply(operations: readonly OverlayOperation[]): Promise<readonly OverlayOutcome[]>;
  /** Whether this kernel can make such devices; makes none. */
  supports(kind: DeviceKind): Promise<boolean>;
  /** Ends listening. Nothing is called back after this. */
  close(): void;
}
