/** All scenarios, in the order in which they run. */
import type { Podrouter } from "../support/peers/podrouter.ts";
import type { DaemonRow, Feature } from "./daemons.ts";
import type { Kind } from "./peering.ts";
import type { Scenario } from "./scenario.ts";
import * as bulk from "./scenarios/bulk.ts";
import * as exchange from "./scenarios/exchange.ts";
import * as options from "./scenarios/options.ts";
import * as restart from "./scenarios/restart.ts";
import * as session from "./scenarios/session.ts";

/** Safe side by side: each has its own namespaces, and waits more than it works. */
export const SCENARIOS: readonly Scenario<Podrouter>[] = [
  session.negotiated,
  session.shortHoldTime,
  session.noHoldTime,
  exchange.weDial,
  exchange.theyDial,
  exchange.bothDial,
  exchange.overIpv6,
  exchange.fourOctetAs,
  exchange.wePassOn,
  exchange.wePassOnUnknown,
  exchange.weStopMalformed,
  exchange.theyPassOn,
  exchange.weReflect,
  session.theyAskForRefresh,
  session.weAskForRefresh,
  restart.theyRestart,
  restart.theyRestartLate,
  restart.weRestart,
  options.md5WeDial,
  options.md5TheyDial,
  options.md5Wrong,
  session.passwordChanged,
  options.ttlSecurity,
  options.twoOctetAs,
  options.twoOctetLargePeer,
  options.twoOctetAsPassedOn,
  options.addPathFromThem,
  options.addPathFromUs,
  options.extendedNextHop,
  bulk.longMessages,
  options.weShutDown,
  options.theyShutDown,
];

/** One after another, so that their times mean something. */
export const BULK_SCENARIOS: readonly Scenario<Podrouter>[] = [bulk.bulkOut, bulk.bulkIn];

export interface Case {
  readonly name: string;
  readonly daemon: DaemonRow;
  readonly kind: Kind;
  readonly scenario: Scenario<Podrouter>;
}

/** Scenario × daemon × kind, without what a daemon lacks. */
export function cases(
  scenarios: readonly Scenario<Podrouter>[],
  daemons: readonly DaemonRow[],
): readonly Case[] {
  return daemons.flatMap((daemon) =>
    (["ibgp", "ebgp"] as const).flatMap((kind) =>
      scenarios
        .filter((scenario) => scenario.kinds?.includes(kind) ?? true)
        .filter((scenario) => (scenario.needs ?? []).every((need) => has(daemon, need)))
        .map((scenario) => ({
          name: `${daemon.name} ${kind}: ${scenario.name}`,
          daemon,
          kind,
          scenario,
        })),
    ),
  );
}

function has(daemon: DaemonRow, feature: Feature): boolean {
  return daemon.lacks[feature] === undefined;
}
