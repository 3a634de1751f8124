/**
 * The agent as a process: log, signals, the last words of a crash. Everything else is agent.ts,
 * which knows of no process.
 */
import { setFlagsFromString } from "node:v8";
import { trimHeap } from "netlink-ts";
import { KubeConfigError } from "../k8s/kube-config.ts";
import type { CodeCacheState } from "../launch/program.ts";
import { messageOf } from "../runtime/operator-text.ts";
import { systemClock } from "../runtime/system-clock.ts";
import { Agent } from "./agent.ts";
import type { AgentConfig } from "./config.ts";
import { EngineFlags } from "./engine-flags.ts";
import { createLogger, type Logger } from "./logger.ts";
import { OverlayUnsupportedError } from "./overlay-part.ts";
import { releaseProgramText } from "./program-text.ts";
import { trimNowAndThen } from "./trim.ts";
import { VERSION } from "./version.ts";

const STANDARD_ERROR = 2;
/** A parameter of the bundled program; see launch/program.ts. */
declare const CODE_CACHE: CodeCacheState | undefined;
/**
 * By then the start is over, with most of what is run once only: a third of the resident memory is
 * the text of that. And the engine's compilers have worked in tens of megabytes that malloc keeps:
 * 15 kB for each of a thousand peers. Cases: `npm run bench -- s8 s3-idle`
 */
const START_OVER_MS = 5000;
/** Half of the manifest's terminationGracePeriodSeconds. */
const STOP_MS_MAX = 5000;
/**
 * At the first one Node.js would open its debugger, on a port of the host's network and for anybody
 * who connects there; of the second one it would die. To other routing daemons they say "write to
 * another log file".
 */
const MEANINGLESS_SIGNALS = ["SIGUSR1", "SIGUSR2"] as const;

/** Runs until SIGTERM or SIGINT, or until it cannot go on; gives the exit code. */
export async function runAgent(config: AgentConfig): Promise<number> {
  const flags = new EngineFlags(setFlagsFromString);
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
    onBulk: () => flags.tableComes(),
  });
  process.on("SIGHUP", () => void agent.reload());
  for (const signal of MEANINGLESS_SIGNALS) {
    process.on(signal, () => logger.warn({ signal }, "signal means nothing here: ignored"));
  }
  const { pid, version: runtime } = process;
  logger.info({ version: VERSION, runtime, pid, codeCache: codeCache() }, "agent starts");
  const ended = await Promise.race([crashed, startFailure(agent, logger), stopped]);
  // After a crash no part can be trusted to end in order.
  const outcome = ended === "crashed" ? ended : await Promise.race([crashed, stop(agent)]);
  if (outcome === "stopped") logger.info({}, "agent stopped");
  if (outcome === "late") logger.warn({}, "agent stopped before all its parts had");
  await logger.drain();
  if (ended === "crashed" || outcome === "crashed") return 1;
  return ended === "stop" ? 0 : ended;
}

/** Undefined when the source runs. */
function codeCache(): CodeCacheState | undefined {
  return typeof CODE_CACHE === "undefined" ? undefined : CODE_CACHE;
}

/** Ends all parts in order, in a bounded time: what is left over is ended with the process. */
function stop(agent: Agent): Promise<"stopped" | "late"> {
  const late = new Promise<"late">((resolve) => {
    systemClock.after(STOP_MS_MAX, () => resolve("late"));
  });
  return Promise.race([agent.stop().then(() => "stopped" as const), late]);
}

/** Starts the agent. Resolves only when that fails, with the exit code. */
async function startFailure(agent: Agent, logger: Logger): Promise<1 | 2> {
  try {
    await agent.start();
  } catch (error) {
    const reasons = messageOf(error);
    for (const reason of reasons.split("\n")) logger.fatal({ reason }, "agent cannot start");
    const wrong = error instanceof KubeConfigError || error instanceof OverlayUnsupportedError;
    return wrong ? 2 : 1;
  }
  systemClock.after(START_OVER_MS, () => {
    trimNowAndThen(systemClock, trimHeap);
    const released = releaseProgramText();
    logger.debug({ kilobytes: Math.round(released / 1024) }, "text of the start given back");
  });
  return new Promise(() => undefined);
}

/**
 * Further ones, as of a supervisor that passes on what the terminal has sent already, are listened
 * to all the same: else the second would kill the agent in the middle of its bounded end.
 */
function stopSignal(logger: Logger): Promise<"stop"> {
  return new Promise((resolve) => {
    let stops = false;
    for (const signal of ["SIGTERM", "SIGINT"] as const) {
      process.on(signal, () => {
        if (!stops) logger.info({ signal }, "agent stops");
        stops = true;
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
