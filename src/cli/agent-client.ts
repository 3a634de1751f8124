/** Questions to a running agent over its admin socket: the only file of the CLI that connects. */
import { get, type IncomingMessage } from "node:http";
import { createInterface } from "node:readline";
import type { AdminError } from "../agent/admin-protocol.ts";
import { CliError } from "./cli-error.ts";

/** What an agent says of its answers. */
const ROWS_TYPE = "application/x-ndjson";
/** An agent that does not begin to answer within this time is called stuck. */
const ANSWER_MS_MAX = 10_000;
/** A refusal is one sentence; more of it is not read. */
const REFUSAL_BYTES_MAX = 65_536;

/** Nobody listens on the socket. Any other error may come from an agent that runs. */
export class NoAgent extends CliError {}

/** The agent refused: 404 = there is no such thing. */
export class AgentRefusal extends CliError {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message, status === 400 ? 2 : 1);
    this.status = status;
  }
}

/**
 * The rows that the agent answers to GET `path`, one JSON value each.
 * @throws {CliError} in one sentence: no agent, no permission, refused, or cut off half-way.
 */
export async function* askAgent<T>(
  socketPath: string,
  path: string,
  answerMs = ANSWER_MS_MAX,
): AsyncGenerator<T> {
  const response = await connect(socketPath, path, answerMs);
  if (response.statusCode !== 200) throw await refusal(response);
  if ((response.headers["content-type"] ?? ROWS_TYPE) !== ROWS_TYPE) {
    response.destroy();
    throw noAgentOfOurs(socketPath);
  }
  const lines = createInterface({ input: response, crlfDelay: Number.POSITIVE_INFINITY });
  try {
    for await (const line of lines) {
      if (line !== "") yield JSON.parse(line) as T;
    }
  } catch (error) {
    if (response.complete) {
      throw error instanceof SyntaxError ? noAgentOfOurs(socketPath, error) : error;
    }
    throw cutOff(error);
  } finally {
    response.destroy();
  }
  if (!response.complete) throw cutOff(undefined);
}

function cutOff(cause: unknown): CliError {
  const why = "it stopped, or nobody read on for ten minutes";
  return new CliError(`the agent ended in the middle of its answer: ${why}`, 1, { cause });
}

function noAgentOfOurs(socketPath: string, cause?: unknown): CliError {
  return new CliError(`what answers on ${socketPath} is no agent of podrouter`, 1, { cause });
}

function connect(socketPath: string, path: string, answerMs: number): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const request = get({ socketPath, path, agent: false, timeout: answerMs }, (response) => {
      // From here on it is as slow as who reads what we write.
      request.setTimeout(0);
      resolve(response);
    });
    request.on("timeout", () => {
      const seconds = answerMs / 1000;
      reject(new CliError(`the agent on ${socketPath} does not answer within ${seconds} s`, 1));
      request.destroy();
    });
    request.on("error", (error: NodeJS.ErrnoException) => reject(explain(socketPath, error)));
  });
}

function explain(socketPath: string, error: NodeJS.ErrnoException): CliError {
  const option = { cause: error };
  switch (error.code) {
    case "ENOENT":
      return new NoAgent(
        `no agent is running here: there is no ${socketPath} ` +
          "(--admin-socket names the socket of another agent)",
        1,
        option,
      );
    case "ECONNREFUSED":
      return new NoAgent(
        `no agent is running here: nobody answers on ${socketPath} ` +
          "(--admin-socket names the socket of another agent)",
        1,
        option,
      );
    case "EACCES":
    case "EPERM":
      return new CliError(
        `permission denied: only root can ask the agent on ${socketPath}`,
        1,
        option,
      );
    case "EPIPE":
    case "ECONNRESET":
      return new CliError(
        `the agent on ${socketPath} closed the connection: it stops, or is asked by too many`,
        1,
        option,
      );
    default:
      return new CliError(`cannot ask the agent on ${socketPath}: ${error.message}`, 1, option);
  }
}

async function refusal(response: IncomingMessage): Promise<CliError> {
  let body = "";
  response.setEncoding("utf8");
  for await (const chunk of response as AsyncIterable<string>) {
    body += chunk;
    if (body.length > REFUSAL_BYTES_MAX) break;
  }
  const status = response.statusCode ?? 500;
  try {
    const { error } = JSON.parse(body) as Partial<AdminError>;
    if (typeof error === "string") return new AgentRefusal(status, error);
  } catch {
    // Not even JSON: the status is all there is to tell.
  }
  return new AgentRefusal(status, `the agent refused with HTTP status ${status}`);
}
