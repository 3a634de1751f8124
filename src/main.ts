/** Entry point: arguments to the command line, its exit code to the process. */
import { hostname } from "node:os";
import { runProgram } from "./cli/program.ts";

/** What does more than tell of something goes on to its end, and its exit code says how it was. */
const [command, ...flags] = process.argv.slice(2);
const goesOn = command === "cleanup" && flags.includes("--yes");

// A reader that went away (`podrouter rib | head`) is no error of ours.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE" && goesOn) return;
  if (error.code === "EPIPE") process.exit(0);
  // A file on a disk that is full, for one.
  process.stderr.write(`podrouter: the output cannot be written: ${error.message}\n`);
  process.exit(1);
});

// Nobody is left to be told, but the exit code still says how it was.
process.stderr.on("error", () => undefined);

// Not awaited at the top: the bundle is a script, no module (launch/program.ts).
void runProgram(
  process.argv.slice(2),
  {
    // Opened only by a command that asks something.
    get stdin() {
      return process.stdin;
    },
    stdout: process.stdout,
    stderr: process.stderr,
    env: process.env,
    hostName: hostname(),
    now: () => Date.now(),
  },
  async (config) => {
    // The agent's parts are loaded only by the command that needs them.
    const { runAgent } = await import("./agent/run-agent.ts");
    // It ends when it says so, whatever a part may still be waiting for.
    process.exit(await runAgent(config));
  },
).then((code) => {
  process.exitCode = code;
});
