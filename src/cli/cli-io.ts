/** What a command may touch of the process; tests hand in their own. */
import type { Readable, Writable } from "node:stream";

/** `columns`: of the terminal, where it is one. */
export type CliOutput = Writable & { readonly columns?: number };

export interface CliIo {
  /** Whom to ask; undefined = nobody. */
  readonly stdin?: Readable & { readonly isTTY?: boolean };
  readonly stdout: CliOutput;
  readonly stderr: CliOutput;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly hostName: string;
  /** Wall clock, ms since the epoch: ages are shown against it. */
  now(): number;
}

/** Writes a text and waits until the reader keeps up, or has gone. */
export async function write(stream: Writable, text: string): Promise<void> {
  if (stream.destroyed || stream.write(text)) return;
  await new Promise<void>((resolve) => {
    const done = (): void => {
      stream.off("drain", done);
      stream.off("close", done);
      resolve();
    };
    stream.on("drain", done);
    stream.on("close", done);
  });
}
