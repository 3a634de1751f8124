/** Carries out the plan of one set. */
import type { SetPlan } from "./plan.ts";
import { type MemberFailure, SetsError, type SetsKernel } from "./ports.ts";
import { type DesiredSet, type SetParameters, TEMPORARY } from "./types.ts";

/** Members that the kernel refused; the others are in. Rejects with SetsError. */
export async function applyPlan(
  kernel: SetsKernel,
  desired: DesiredSet,
  plan: SetPlan,
): Promise<readonly MemberFailure[]> {
  switch (plan.kind) {
    case "none":
    case "conflict":
      return [];
    case "create":
      await kernel.create(plan.parameters);
      return kernel.add(desired.name, plan.add);
    case "rebuild":
      return rebuild(kernel, plan.parameters, plan.add);
    case "update": {
      const failures = plan.add.length === 0 ? [] : await kernel.add(desired.name, plan.add);
      if (plan.remove.length > 0) await removeAll(kernel, desired.name, plan.remove);
      return failures;
    }
  }
}

/** A member that does not go is no small thing: rules would go on matching it. */
async function removeAll(kernel: SetsKernel, name: string, members: readonly string[]) {
  const [failure] = await kernel.remove(name, members);
  if (failure === undefined) return;
  throw new SetsError("failed", `${failure.member} cannot be removed: ${failure.message}`);
}

async function rebuild(
  kernel: SetsKernel,
  parameters: SetParameters,
  members: readonly string[],
): Promise<readonly MemberFailure[]> {
  // What a run that was killed in the middle may have left.
  await kernel.destroy(TEMPORARY);
  await kernel.create({ ...parameters, name: TEMPORARY });
  try {
    const failures = await kernel.add(TEMPORARY, members);
    await kernel.swap(TEMPORARY, parameters.name);
    return failures;
  } finally {
    await kernel.destroy(TEMPORARY);
  }
}

/** The plan as `ipset` commands, for a dry run. */
export function describePlan(desired: DesiredSet, plan: SetPlan): string[] {
  const { name } = desired;
  const adds = (members: readonly string[]) => members.map((member) => `add ${name} ${member}`);
  switch (plan.kind) {
    case "none":
    case "conflict":
      return [];
    case "create":
      return [`create ${name} ${describeParameters(plan.parameters)}`, ...adds(plan.add)];
    case "rebuild":
      return [`rebuild ${name} ${describeParameters(plan.parameters)}`, ...adds(plan.add)];
    case "update":
      return [...adds(plan.add), ...plan.remove.map((member) => `del ${name} ${member}`)];
  }
}

function describeParameters({ type, family, hashSize, maxElements }: SetParameters): string {
  const inet = family === 6 ? "inet6" : "inet";
  return `${type} family ${inet} hashsize ${hashSize} maxelem ${maxElements} timeout 0`;
}
