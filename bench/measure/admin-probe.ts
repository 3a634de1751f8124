/**
 * Asks an agent what `podrouter peers` asks, again and again, while something else is measured.
 * Over the admin socket itself: the start of the command's process is not what is looked at.
 */
import { request } from "node:http";
import { PEERS_PATH } from "../../src/agent/admin-protocol.ts";

const PAUSE_MS = 50;
const ANSWER_MS_MAX = 60_000;

export class AdminProbe {
  readonly #socket: string;
  readonly #milliseconds: number[] = [];
  readonly #ended: Promise<void>;
  #stopping = false;
  #failure: Error | undefined;

  constructor(socketPath: string) {
    this.#socket = socketPath;
    this.#ended = this.#run().catch((error: Error) => {
      this.#failure = error;
    });
  }

  /** Ends it; the slowest answer in milliseconds. @throws {Error} when one did not come. */
  async stop(): Promise<number> {
    this.#stopping = true;
    await this.#ended;
    if (this.#failure !== undefined) throw this.#failure;
    return Math.max(...this.#milliseconds);
  }

  async #run(): Promise<void> {
    while (!this.#stopping) {
      const begin = performance.now();
      await this.#ask();
      this.#milliseconds.push(performance.now() - begin);
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  }

  #ask(): Promise<void> {
    return new Promise((resolve, reject) => {
      const options = { socketPath: this.#socket, path: PEERS_PATH, timeout: ANSWER_MS_MAX };
      request(options, (response) => {
        response.resume().on("end", resolve).on("error", reject);
      })
        .on("timeout", () => reject(new Error("the admin socket does not answer")))
        .on("error", reject)
        .end();
    });
  }
}
