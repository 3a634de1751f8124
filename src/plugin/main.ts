/**
 * The executable podrouter-cni, which the container runtime calls for each pod: it checks the call,
 * hands it to the agent and prints what the agent says. Its start is most of its time, so it is one
 * small file of its own (dist/podrouter-cni.cjs) and loads nothing but files and sockets.
 *
 * Without the agent: VERSION is answered; DEL succeeds when nothing is left that would have to be
 * removed, which the links and the file of leases tell; all else fails at once with "try again
 * later" (code 11), so that no DEL is lost: runtimes repeat what failed.
 */
import { existsSync, readdirSync, readFileSync, readSync, writeSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { ANSWER_BYTES_MAX, ANSWER_MS_MAX, CONFIG_BYTES_MAX } from "../cni/plugin/limits.ts";
import {
  type PluginRequest,
  parseConfig,
  readCommand,
  readRequest,
} from "../cni/plugin/request.ts";
import { CniSpecError, Code, errorOutput, versionOutput } from "../cni/plugin/spec.ts";
import {
  type Answer,
  CNI_SOCKET_DEFAULT,
  decodeAnswer,
  encodeCall,
  LEASES_FILE,
} from "../cni/plugin/wire.ts";

const LEASES_DEFAULT = `/var/lib/podrouter/${LEASES_FILE}`;

/** The agent did not answer; `message` says why. */
class Unreachable extends Error {}

async function main(): Promise<Answer> {
  let stdin = "";
  try {
    const command = readCommand(process.env);
    stdin = readStdin();
    if (command === "VERSION") return { status: 0, output: versionOutput(askedVersion(stdin)) };
    const request = readRequest(process.env, stdin);
    try {
      const path = request.socket ?? CNI_SOCKET_DEFAULT;
      return await ask(path, encodeCall({ environment: process.env, config: stdin }));
    } catch (error) {
      if (!(error instanceof Unreachable)) throw error;
      return await withoutAgent(request, error.message);
    }
  } catch (error) {
    if (!(error instanceof CniSpecError)) throw error;
    return { status: 1, output: errorOutput(String(askedVersion(stdin)), error) };
  }
}

/** Standard input to its end. */
function readStdin(): string {
  const chunks: Buffer[] = [];
  let length = 0;
  const end = performance.now() + ANSWER_MS_MAX;
  while (length <= CONFIG_BYTES_MAX) {
    const chunk = Buffer.allocUnsafe(65_536);
    const count = readSome(chunk, end);
    if (count === 0) break;
    chunks.push(chunk.subarray(0, count));
    length += count;
  }
  return Buffer.concat(chunks).toString("utf8");
}

/** Zero at the end. The other side may have made the pipe a non-blocking one. */
function readSome(chunk: Buffer, end: number): number {
  for (;;) {
    try {
      return readSync(0, chunk);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === "EOF") return 0;
      if (code !== "EAGAIN" || performance.now() > end) {
        throw new CniSpecError(Code.IO_FAILURE, `standard input cannot be read: ${code}`);
      }
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
    }
  }
}

/** As the configuration says it, if it says anything. */
function askedVersion(stdin: string): unknown {
  try {
    return parseConfig(stdin)["cniVersion"];
  } catch {
    return undefined;
  }
}

function ask(path: string, call: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    let text = "";
    const socket = connect(path);
    const timer = setTimeout(() => fail("it does not answer"), ANSWER_MS_MAX);
    const fail = (why: string): void => {
      clearTimeout(timer);
      socket.destroy();
      reject(new Unreachable(`the agent is not to be had at ${path}: ${why}`));
    };
    socket.setEncoding("utf8");
    socket.on("error", (error: NodeJS.ErrnoException) => fail(error.code ?? error.message));
    socket.on("data", (chunk: string) => {
      text += chunk;
      if (text.length > ANSWER_BYTES_MAX) fail("its answer has no end");
    });
    socket.on("end", () => {
      const answer = decodeAnswer(text);
      if (answer === undefined) return fail("it ended the connection");
      clearTimeout(timer);
      resolve(answer);
    });
    socket.write(call);
  });
}

async function withoutAgent(request: PluginRequest, why: string): Promise<Answer> {
  if (request.command === "STATUS") throw new CniSpecError(Code.NOT_AVAILABLE, why);
  if (request.command === "DEL" && (await nothingLeft(request))) return { status: 0, output: "" };
  throw new CniSpecError(Code.TRY_AGAIN_LATER, why);
}

type DelRequest = Extract<PluginRequest, { readonly command: "DEL" }>;

/**
 * Whether neither link nor lease speaks of the attachment, nor one of host-local, of a pod of the
 * plugin that was here before; false when that cannot be told.
 */
async function nothingLeft(request: DelRequest): Promise<boolean> {
  const { attachmentKey, hostLinkName } = await import("../cni/plugin/attachment.ts");
  const { LeaseBook } = await import("../cni/plugin/lease-book.ts");
  if (existsSync(`/sys/class/net/${hostLinkName(request)}`)) return false;
  if (await hasHostLocalLease(request)) return false;
  const book = new LeaseBook();
  try {
    if (!book.load(readFileSync(request.leases ?? LEASES_DEFAULT, "utf8"))) return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ENOENT";
  }
  return !book.leases().some((lease) => attachmentKey(lease) === attachmentKey(request));
}

async function hasHostLocalLease(request: DelRequest): Promise<boolean> {
  const { HOST_LOCAL_FOLDERS, isHostLocalLease } = await import("../cni/plugin/host-local.ts");
  return HOST_LOCAL_FOLDERS.some((root) => {
    const folder = join(root, request.network);
    const isIts = (name: string) => isHostLocalLease(textOf(join(folder, name)), request);
    try {
      return readdirSync(folder).some(isIts);
    } catch (error) {
      return (error as NodeJS.ErrnoException).code !== "ENOENT";
    }
  });
}

/** Empty when it cannot be read: it may have gone just now. */
function textOf(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

main().then(
  ({ status, output }) => {
    if (output !== "") writeAll(output);
    process.exit(status);
  },
  (error: unknown) => {
    const message = error instanceof Error ? error.message : String(error);
    writeAll(errorOutput("", new CniSpecError(Code.IO_FAILURE, `podrouter-cni: ${message}`)));
    process.exit(1);
  },
);

/** At once: what is written to a pipe otherwise may be lost at the exit. */
function writeAll(text: string): void {
  let rest = Buffer.from(text);
  while (rest.length > 0) {
    try {
      rest = rest.subarray(writeSync(1, rest));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EAGAIN") return;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
    }
  }
}
