/** Asking somebody on a terminal whether to go on. */
import { createInterface } from "node:readline/promises";
import { type CliIo, write } from "./cli-io.ts";

/** False also where the answer is Ctrl-C or Ctrl-D, or the terminal goes away. */
export async function confirmed(
  { stdin, stdout }: Required<Pick<CliIo, "stdin" | "stdout">>,
  question: string,
): Promise<boolean> {
  const prompt = createInterface({ input: stdin, output: stdout });
  const closed = new AbortController();
  prompt.once("close", () => closed.abort());
  try {
    const answer = await prompt.question(`${question} [y/N] `, { signal: closed.signal });
    return /^y(?:es)?$/i.test(answer.trim());
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ABORT_ERR") throw error;
    await write(stdout, "\n");
    return false;
  } finally {
    prompt.close();
  }
}
