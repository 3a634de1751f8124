/**
 * What is wrong with a command line, in a sentence each. What was given to a flag that is none may
 * be a password, however it is written: of such an argument only the flag is repeated.
 */
import { Command, CommanderError } from "commander";
import { foreignFlagSentence, misplacedFlagSentence } from "./run-command.ts";

const UNKNOWN = /^error: unknown (option|command) '(.*)'(?:\n.*)?$/s;

/** What to say of the error that these arguments gave. */
export function usageSentences(
  error: CommanderError,
  program: Command,
  args: readonly string[],
): readonly string[] {
  const [, what, given] = UNKNOWN.exec(error.message) ?? [];
  if (given === undefined) return [oneLine(error.message)];
  if (what === "command") return [oneLine(error.message.replace(given, () => begun(given)))];
  const command = program.commands.find((one) => one.name() === args[0]) ?? program;
  const flag = flagOf(given, command);
  // Of kube-router's flags all are named at once: who moves a manifest over has several.
  const flags = args.filter((one) => one.startsWith("-")).map((one) => flagOf(one, command));
  const others = new Set(flags.map(nameOf));
  others.delete(nameOf(flag));
  const sentences = [...others].flatMap((name) => foreignFlagSentence(name) ?? []);
  return [flagSentence(flag, command), ...sentences];
}

function flagSentence(flag: string, command: Command): string {
  const foreign = foreignFlagSentence(nameOf(flag));
  if (foreign !== undefined) return foreign;
  const option = command.options.find((one) => one.long === flag || one.short === flag);
  if (option?.required === true || option?.optional === true) {
    return `option '${flag}' takes its value behind = or as the next argument`;
  }
  if (option !== undefined) return `option '${flag}' takes no value`;
  if (isKnown(`-${flag}`, command)) return `unknown option '${flag}' (Did you mean -${flag}?)`;
  const name = command.parent === null ? undefined : command.name();
  return misplacedFlagSentence(nameOf(flag), name) ?? oneLine(unknownOption(flag, command));
}

function nameOf(flag: string): string {
  return flag.replace(/^-+/, "");
}

/** The end of the first word of an argument; -1 = it has but one. */
const endOfWord = (given: string) => given.search(/[=:\s]/);

/** A command, of which nothing else is in the argument. */
function begun(given: string): string {
  const end = endOfWord(given);
  return end < 0 ? given : `${given.slice(0, end + 1)}…`;
}

/** The flag in an argument, with its dashes. */
function flagOf(given: string, command: Command): string {
  const end = endOfWord(given);
  const flag = end < 0 ? given : given.slice(0, end);
  if (/^(--|-.$)/.test(flag)) return flag;
  // Of letters behind one dash the first is a flag, and the others its value, but for who thinks of
  // long flags as Go's are written.
  const long = `-${flag}`;
  const isMeant = isKnown(long, command) || foreignFlagSentence(long.slice(2)) !== undefined;
  return isMeant ? flag : `${flag.slice(0, 2)}…`;
}

function isKnown(long: string, { options }: Command): boolean {
  return options.some((option) => option.long === long);
}

/** Commander's sentence for the flag alone, with what it takes to be meant. */
function unknownOption(flag: string, command: Command): string {
  const probe = new Command().exitOverride().configureOutput({ outputError: () => undefined });
  for (const { flags } of command.options) probe.option(flags);
  try {
    probe.parse([flag], { from: "user" });
  } catch (error) {
    if (error instanceof CommanderError) return error.message;
    throw error;
  }
  return `unknown option '${flag}'`;
}

function oneLine(message: string): string {
  return message.replace(/^error: /, "").replaceAll("\n", " ");
}
