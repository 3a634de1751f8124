/** Cleanup: finds what of this folder's making is on the machine, and takes it away. */
import type { IpFamily } from "../ip/address.ts";
import { isOwnConflist } from "./conflist.ts";
import type { ConflistFiles } from "./conflist-file.ts";
import { type HoldingFilter, type PacketFilter, PacketFilterError } from "./pod-rules.ts";
import { describeChanges, NO_RULES, planRules, RULE_TABLES, type RuleChanges } from "./rules.ts";

/** Rules of ours in one back end and family, as what takes them away. */
export interface OwnRules {
  readonly filter: PacketFilter;
  readonly family: IpFamily;
  readonly changes: RuleChanges;
}

/** Looks through the given back ends; `unseen`: which could not be listed, and why. */
export async function findOwnRules(
  filters: readonly HoldingFilter[],
): Promise<{ readonly rules: readonly OwnRules[]; readonly unseen: readonly string[] }> {
  const rules: OwnRules[] = [];
  const unseen: string[] = [];
  for (const { filter, families } of filters) {
    for (const family of families) {
      try {
        const changes = planRules(family, NO_RULES, await filter.read(family, true));
        if (RULE_TABLES.some((table) => changes[table].length > 0)) {
          rules.push({ filter, family, changes });
        }
      } catch (error) {
        if (!(error instanceof PacketFilterError)) throw error;
        unseen.push(error.message);
      }
    }
  }
  return { rules, unseen };
}

/** The lines that would be carried out: `iptables -t nat -D POSTROUTING …`. */
export function describeOwnRules({ family, changes }: OwnRules): readonly string[] {
  return describeChanges(family, changes);
}

/** Carries them out; why not, where it failed. */
export async function removeOwnRules(own: OwnRules): Promise<string | undefined> {
  try {
    for (const table of RULE_TABLES) {
      const lines = own.changes[table];
      if (lines.length > 0) await own.filter.change(own.family, table, lines);
    }
    return undefined;
  } catch (error) {
    if (!(error instanceof PacketFilterError)) throw error;
    return error.message;
  }
}

/** Whether the file is there, and made here; rejects with FileError when it cannot be read. */
export async function findConflist(
  files: Pick<ConflistFiles, "read">,
  path: string,
): Promise<"ours" | "others" | "none"> {
  const text = await files.read(path);
  if (text === undefined) return "none";
  return isOwnConflist(text) ? "ours" : "others";
}
