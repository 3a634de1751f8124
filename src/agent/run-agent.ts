/**
 * The agent as a process: log, signals, the last words of a crash. Everything else is agent.ts,
 * which knows of no process.
 */
import { KubeConfigError } from "../k8s/kube-config.ts";
import { systemClock } from "../runtime/system-clock.ts";
import { Agent } from "./agent.ts";
import type { AgentConfig } from "./config.ts";
import { createLogger, type Logger } from "./logger.ts";
import { VERSION } from "./version.ts";

const STANDARD_ERROR = 2;

/** Runs until SIGTERM or SIGINT, or until it cannot go on; gives the exit code. */
export async function runAgent(config: AgentConfig): Promise<number> {
  const logger = createLogger({
    ...config.log,
    fd: STANDARD_ERROR,
    base: { node: config.nodeName },
  });
  const crashed = crash(logger);
  const stopped = stopSignal(logger);
  const agent = new Agent(config, {
    clock: systemClock,
    random: Math.random,
    log: logger,
    logLinesDropped: logger.dropped,
  });
  process.on("SIGHUP", () => {
    logger.info({}, "configuration is read again");
    void agent.reload();
  });
  logger.info({ version: VERSION, runtime: process.version, pid: process.pid }, "agent starts");
  const ended = await Promise.race([crashed, startFailure(agent, logger), stopped]);
  if (ended === "stop") {
    const outcome = await Promise.race([crashed, agent.stop().then(() => "stopped" as const)]);
    if (outcome === "stopped") logger.info({}, "agent stopped");
    await logger.drain();
    return outcome === "stopped" ? 0 : 1;
  }
  await logger.drain();
  return ended === "crashed" ? 1 : ended;
}

/** Starts the agent. Resolves only when that fails, with the exit code. */
async function startFailure(agent: Agent, logger: Logger): Promise<1 | 2> {
  try {
    await agent.start();
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    logger.fatal({ reason }, "agent cannot start");
    return error instanceof KubeConfigError ? 2 : 1;
  }
  return new Promise(() => undefined);
}

function stopSignal(logger: Logger): Promise<"stop"> {
  return new Promise((resolve) => {
    for (const signal of ["SIGTERM", "SIGINT"] as const) {
      process.once(signal, () => {
        logger.info({ signal }, "agent stops");
        resolve("stop");
      });
    }
  });
}

/** A bug: said as the last line, and the process ends, because its state is not to be trusted. */
function crash(logger: Logger): Promise<"crashed"> {
  return new Promise((resolve) => {
    process.once("uncaughtException", (error) => {
      logger.fatal({ err: error }, "agent crashed");
      resolve("crashed");
    });
  });
}
