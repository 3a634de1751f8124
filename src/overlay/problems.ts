/** What keeps tunnels from being right, where the kernel has a say, in words for an operator. */
import { capabilityHint } from "../runtime/operator-text.ts";
import { describeOperation, subjectOf } from "./describe.ts";
import type { OverlayProblem } from "./desired.ts";
import { CONDITIONS_MAX } from "./limits.ts";
import type { OverlayKernelError } from "./ports.ts";
import type { OverlayOperation } from "./types.ts";

/** Those that are listed: errors first, and of too many the last says how many more there are. */
export function listedProblems(problems: readonly OverlayProblem[]): readonly OverlayProblem[] {
  if (problems.length <= CONDITIONS_MAX) return problems;
  const isError = ({ severity }: OverlayProblem) => severity === "error";
  const ordered = [...problems.filter(isError), ...problems.filter((one) => !isError(one))];
  const rest = ordered.splice(CONDITIONS_MAX - 1);
  const severity = rest.some(isError) ? "error" : "warning";
  const message = `and ${rest.length} more about tunnels`;
  return [...ordered, { name: "overlay-more", severity, message }];
}

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
