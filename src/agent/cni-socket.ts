/**
 * The socket on which the plugin podrouter-cni asks: see src/cni/plugin/wire.ts for what is said.
 * It is another one than the admin socket, which only reads and stays so: this one changes pods,
 * has other bounds (a node that starts makes all its pods at once), and is there only where pods
 * are made by it. Only root can open it.
 */
import { createServer, type Socket } from "node:net";
import {
  DRAIN_MS_MAX,
  PLUGIN_CONNECTIONS_MAX,
  REQUEST_BYTES_MAX,
  REQUEST_MS_MAX,
} from "../cni/plugin/limits.ts";
import type { PodPlugin } from "../cni/plugin/pod-plugin.ts";
import { parseConfig, readRequest } from "../cni/plugin/request.ts";
import { CniSpecError, Code, errorOutput } from "../cni/plugin/spec.ts";
import { type Answer, decodeCall, encodeAnswer } from "../cni/plugin/wire.ts";
import type { CniCondition } from "../cni/types.ts";
import type { Clock } from "../runtime/clock.ts";
import type { Log } from "../runtime/log.ts";
import { PrivateSocket } from "./private-socket.ts";

const NAME = { socket: "CNI socket", flag: "--cni-socket" } as const;

export class CniSocket {
  readonly #plugin: Pick<PodPlugin, "handle">;
  readonly #log: Log;
  readonly #clock: Clock;
  readonly #socket: PrivateSocket;
  readonly #connections = new Set<Socket>();
  readonly #answering = new Set<Promise<void>>();
  #stopping: Promise<void> | undefined;

  constructor(
    plugin: Pick<PodPlugin, "handle">,
    deps: { readonly log: Log; readonly clock: Clock },
  ) {
    this.#plugin = plugin;
    this.#log = deps.log;
    this.#clock = deps.clock;
    const server = createServer({ allowHalfOpen: true }, (socket) => this.#serve(socket));
    server.maxConnections = PLUGIN_CONNECTIONS_MAX;
    this.#socket = new PrivateSocket(server, NAME, deps);
  }

  /**
   * After `stop`, as where the end comes in the middle of a start, it does nothing.
   * @throws {Error} one sentence, when the socket cannot be made.
   */
  start(path: string): Promise<void> {
    return this.#socket.start(path);
  }

  /** That podrouter-cni does not find it at its path. */
  conditions(): readonly CniCondition[] {
    const { problem } = this.#socket;
    if (problem === undefined) return [];
    const message = `podrouter-cni can connect no pod: ${problem}`;
    return [{ name: "cni-socket", severity: "error", message }];
  }

  /** Calls under way come to their end, within reason; no further ones are taken. */
  stop(): Promise<void> {
    this.#stopping ??= this.#drain();
    return this.#stopping;
  }

  async #drain(): Promise<void> {
    this.#socket.close();
    let cancel = (): void => {};
    const late = new Promise<void>((resolve) => {
      const timer = this.#clock.after(DRAIN_MS_MAX, resolve);
      cancel = () => timer.cancel();
    });
    await Promise.race([Promise.all(this.#answering), late]);
    cancel();
    for (const socket of this.#connections) socket.destroySoon();
  }

  #serve(socket: Socket): void {
    this.#connections.add(socket);
    socket.on("close", () => this.#connections.delete(socket));
    // The runtime gave up on its plugin: what was asked is done all the same, and DEL follows.
    socket.on("error", () => socket.destroy());
    socket.setTimeout(REQUEST_MS_MAX, () => socket.destroy());
    const chunks: Buffer[] = [];
    let length = 0;
    const onData = (chunk: Buffer): void => {
      chunks.push(chunk);
      length += chunk.length;
      if (length > REQUEST_BYTES_MAX) {
        socket.destroy();
        return;
      }
      if (chunk.at(-1) !== LINE_END) return;
      socket.off("data", onData);
      socket.setTimeout(0);
      socket.resume();
      const answering = this.#answer(socket, Buffer.concat(chunks).toString("utf8"));
      this.#answering.add(answering);
      void answering.then(() => this.#answering.delete(answering));
    };
    socket.on("data", onData);
  }

  async #answer(socket: Socket, line: string): Promise<void> {
    const answer = await this.#carryOut(line);
    if (!socket.destroyed) socket.end(answer === undefined ? "" : encodeAnswer(answer));
  }

  /** Undefined for what is no call. */
  async #carryOut(line: string): Promise<Answer | undefined> {
    const call = decodeCall(line);
    if (call === undefined || this.#stopping !== undefined) return undefined;
    try {
      const request = readRequest(call.environment, call.config);
      const result = await this.#plugin.handle(request);
      return { status: 0, output: result === undefined ? "" : JSON.stringify(result) };
    } catch (error) {
      const failure = error instanceof CniSpecError ? error : this.#bug(error);
      const { CNI_COMMAND: command, CNI_CONTAINERID: containerId } = call.environment;
      this.#log.warn(
        {
          command,
          containerId: containerId?.slice(0, 128),
          code: failure.code,
          reason: failure.message,
        },
        "CNI call failed",
      );
      return { status: 1, output: errorOutput(versionIn(call.config), failure) };
    }
  }

  #bug(error: unknown): CniSpecError {
    this.#log.error({ err: error }, "CNI call failed unexpectedly");
    return new CniSpecError(Code.TRY_AGAIN_LATER, "the agent failed to carry the call out");
  }
}

const LINE_END = 0x0a;

function versionIn(config: string): string {
  try {
    return String(parseConfig(config)["cniVersion"]);
  } catch {
    return "";
  }
}
