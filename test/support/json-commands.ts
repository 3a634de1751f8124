/**
 * A helper program that a test talks to: one JSON line for each command on its standard input,
 * `{id, method, argument}`, one for each answer on its standard output, `{id, value}` or
 * `{id, error}`; lines `{event}` come without being asked for. It ends with its input.
 */
import { createInterface } from "node:readline";

export type CommandTable = Readonly<Record<string, (argument: unknown) => unknown>>;

interface Command {
  readonly id: number;
  readonly method: string;
  readonly argument: unknown;
}

/** What an answer or an event looks like on the other side. */
export type Reply =
  | { readonly id: number; readonly value: unknown }
  | { readonly id: number; readonly error: string }
  | { readonly event: unknown };

/** Answers commands until the input ends; a method may give a promise. */
export function answerCommands(table: CommandTable): void {
  createInterface(process.stdin)
    .on("line", (line) => void answer(table, JSON.parse(line) as Command))
    .on("close", () => process.exit(0));
}

/** Tells the test of something. */
export function tellEvent(event: unknown): void {
  write({ event });
}

async function answer(table: CommandTable, command: Command): Promise<void> {
  const { id, method, argument } = command;
  try {
    const run = table[method];
    if (run === undefined) throw new Error(`no command ${method}`);
    write({ id, value: (await run(argument)) ?? null });
  } catch (error) {
    write({ id, error: error instanceof Error ? (error.stack ?? error.message) : String(error) });
  }
}

function write(reply: Reply): void {
  process.stdout.write(`${JSON.stringify(reply)}\n`);
}
