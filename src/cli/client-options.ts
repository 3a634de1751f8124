/** What all commands that ask a running agent share: their flags and what these are read into. */
import { type Command, Option } from "commander";
import { expectedSentence } from "../agent/config.ts";
import { socketPathValue } from "../agent/flag-values.ts";
import { ADMIN_SOCKET_DEFAULT } from "../agent/flags.ts";
import { CliError } from "./cli-error.ts";
import { OUTPUTS, type Output } from "./output.ts";

export interface ClientOptions {
  readonly adminSocket: string;
  readonly output: Output;
}

/** Adds `--admin-socket` and `-o` to a command. */
export function withClientOptions(command: Command): Command {
  return command
    .addOption(
      new Option("--admin-socket <path>", "socket of the agent to ask").default(
        ADMIN_SOCKET_DEFAULT,
      ),
    )
    .addOption(
      new Option("-o, --output <format>", "how to write the answer")
        .choices(OUTPUTS)
        .default("table"),
    );
}

/** The options as commander gives them, checked. */
export function clientOptions(raw: Readonly<Record<string, unknown>>): ClientOptions {
  return { adminSocket: adminSocketOption(raw), output: raw["output"] as Output };
}

/** `--admin-socket` as commander gives it, checked. */
export function adminSocketOption(raw: Readonly<Record<string, unknown>>): string {
  const adminSocket = String(raw["adminSocket"]);
  if (socketPathValue.parse(adminSocket) !== undefined) return adminSocket;
  const sentence = expectedSentence("admin-socket", adminSocket, socketPathValue.expects);
  throw new CliError(sentence, 2);
}
