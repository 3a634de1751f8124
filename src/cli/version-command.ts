/** `podrouter version`: of this program; asks no agent. */
import { Command, Option } from "commander";
import { VERSION } from "../agent/version.ts";
import { type CliIo, write } from "./cli-io.ts";
import { writeJson } from "./output.ts";

export function versionCommand(io: CliIo): Command {
  return new Command("version")
    .summary("version of this program")
    .description("Shows the version of this program and of the Node.js that runs it.")
    .addOption(
      new Option("-o, --output <format>", "how to write the answer")
        .choices(["table", "json"])
        .default("table"),
    )
    .action(async (options: { output: "table" | "json" }) => {
      const { arch, platform, version } = process;
      if (options.output === "json") {
        await writeJson(io.stdout, { version: VERSION, node: version, platform, arch });
      } else {
        await write(io.stdout, `podrouter ${VERSION} (Node.js ${version}, ${platform}/${arch})\n`);
      }
    });
}
