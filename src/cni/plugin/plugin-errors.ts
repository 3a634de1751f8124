/** What goes wrong in the plugin: as the runtime is told, and as conditions of the agent. Pure. */
import { FileError } from "../../runtime/files.ts";
import { messageOf, printable } from "../../runtime/operator-text.ts";
import type { CniCondition } from "../types.ts";
import type { LeaseRefusal } from "./lease-book.ts";
import { CniSpecError, Code } from "./spec.ts";
import { WiringError, type WiringProblem } from "./wiring.ts";

const CODES: Readonly<Record<WiringProblem, Code>> = {
  "no-namespace": Code.UNKNOWN_CONTAINER,
  "not-permitted": Code.KERNEL_REFUSED,
  "own-namespace": Code.EXISTS_ALREADY,
  exists: Code.EXISTS_ALREADY,
  "no-bridge": Code.TRY_AGAIN_LATER,
  kernel: Code.KERNEL_REFUSED,
};

/** An operating error as the runtime is told; a bug stays what it is. */
export function translated(error: unknown): unknown {
  if (error instanceof WiringError) return new CniSpecError(CODES[error.problem], error.message);
  if (error instanceof FileError) {
    const text = `the lease cannot be written down: ${error.message}`;
    return new CniSpecError(Code.IO_FAILURE, text);
  }
  return error;
}

export function refusalError(refusal: LeaseRefusal): CniSpecError {
  const code =
    refusal.why === "no-ranges"
      ? Code.TRY_AGAIN_LATER
      : refusal.why === "outside"
        ? Code.INVALID_CONFIG
        : Code.NO_ADDRESS_LEFT;
  return new CniSpecError(code, refusalText(refusal));
}

function refusalText(refusal: LeaseRefusal): string {
  switch (refusal.why) {
    case "no-ranges":
      return "the pod CIDR of this node is not known yet";
    case "full":
      return `no IPv${refusal.family} address is left in ${refusal.ranges.join(", ")}`;
    case "too-many":
      return "no further pod is connected: there are too many on this node already";
    case "taken":
      return `${refusal.address} is given out already`;
    case "outside":
      return `${refusal.address} is in no pod CIDR of this node, or not for pods`;
  }
}

export function notStarted(error: unknown): CniCondition {
  const why = messageOf(error);
  return {
    name: "pod-leases",
    severity: "error",
    message: `no pod can be made: who has which address cannot be found out: ${why}`,
  };
}

/** `aside`: where the file is now. */
export function damaged(aside: string): CniCondition {
  return {
    name: "pod-leases-damaged",
    severity: "warning",
    message:
      `the file of leases was not understood and is put aside as ${printable(aside)}; the leases ` +
      "of running pods were read from their links",
  };
}

export function notKept(error: FileError): CniCondition {
  return {
    name: "pod-leases-not-kept",
    severity: "error",
    message: `the leases of pods cannot be written down: ${error.message}`,
  };
}

export function exhausted(refusal: LeaseRefusal): CniCondition {
  return {
    name: "pod-addresses",
    severity: "error",
    message: `no further pod can be made: ${refusalText(refusal)}`,
  };
}
