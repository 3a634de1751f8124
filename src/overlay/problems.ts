/** What keeps tunnels from being right, where the kernel has a say, in words for an operator. */
import { capabilityHint } from "../runtime/operator-text.ts";
import { describeOperation, subjectOf } from "./describe.ts";
import type { OverlayProblem } from "./desired.ts";
import type { OverlayKernelError } from "./ports.ts";
import type { OverlayOperation } from "./types.ts";

/** About all tunnels. */
export function unavailableProblem(error: OverlayKernelError): OverlayProblem {
  return {
    name: "overlay-unavailable",
    severity: "error",
    message: `tunnels cannot be kept: ${error.message}${capabilityHint(error.code)}`,
  };
}

/** What the kernel refused, in its own words and ours. */
export function refusedProblem(
  operation: OverlayOperation,
  code: string,
  message: string,
): OverlayProblem {
  return {
    name: `overlay-refused ${operation.kind} ${subjectOf(operation)}`,
    severity: "error",
    message:
      `the kernel refuses \`${describeOperation(operation)}\`: ` +
      `${message}${capabilityHint(code)}`,
  };
}
