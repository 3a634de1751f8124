/** What is wrong with the Nodes and their source, as conditions. Pure. */
import type { NodeSourceStatus } from "../k8s/node-source.ts";
import type { NodeProblem } from "../k8s/problem.ts";
import type { Topology } from "../k8s/topology.ts";
import type { Condition } from "./conditions.ts";

/** The state of the source, the objects that cannot be used, and contradictions between Nodes. */
export function nodeConditions(
  status: NodeSourceStatus,
  topology: Topology | undefined,
): readonly Condition[] {
  // Nodes of an earlier run need not be all there are.
  const known = ({ code }: NodeProblem): boolean => status.synced || code !== "own-node-missing";
  const problems = [...status.problems, ...(topology?.problems ?? []).filter(known)];
  const source = sourceCondition(status);
  return [
    ...(source === undefined ? [] : [source]),
    ...notLoaded(status),
    ...notSaved(status.notSaved),
    ...named(problems),
  ];
}

/** With Nodes of the source nobody misses the saved ones. */
function notLoaded({ notLoaded: reason, synced }: NodeSourceStatus): readonly Condition[] {
  if (reason === undefined || synced) return [];
  const message = `the Nodes of the last run cannot be used: ${reason} (--state-dir)`;
  return [{ name: "not-loaded", severity: "warning", message }];
}

function notSaved(reason: string | undefined): readonly Condition[] {
  if (reason === undefined) return [];
  const message = `the Nodes cannot be saved for the next start: ${reason} (--state-dir)`;
  return [{ name: "not-saved", severity: "warning", message }];
}

function sourceCondition(status: NodeSourceStatus): Condition | undefined {
  if (status.connected || (status.lastError === undefined && !status.synced)) return undefined;
  const what = status.kind === "file" ? "the file" : "the API server";
  const reason = status.lastError?.reason ?? "no answer";
  return {
    name: "source",
    severity: "error",
    message:
      `the Nodes cannot be read from ${what} (${status.origin}): ${reason}; ` +
      "those known so far are kept",
  };
}

/** Problems have no names of their own: code and Node, numbered where that is not enough. */
function named(problems: readonly NodeProblem[]): readonly Condition[] {
  const count = new Map<string, number>();
  return problems.map(({ code, node, severity, message }) => {
    const base = node === undefined ? code : `${code} ${node}`;
    const number = (count.get(base) ?? 0) + 1;
    count.set(base, number);
    return { name: number === 1 ? base : `${base} #${number}`, severity, message };
  });
}
