/** Where Nodes come from: the API, a file. The port that the agent sees. */
import type { NodeSnapshot } from "./node-snapshot.ts";
import type { NodeProblem } from "./problem.ts";

/**
 * All Nodes by name, as they are now: the source goes on changing the map it gave, so whoever wants
 * them as they were copies it. Unchanged Nodes keep their object.
 */
export type Nodes = ReadonlyMap<string, NodeSnapshot>;

/** `changed`: names of all Nodes that came, went or changed since the last call; undefined: any. */
export type OnNodes = (nodes: Nodes, changed?: ReadonlySet<string>) => void;

export interface NodeSourceStatus {
  readonly kind: "api" | "file";
  /** The server or file, for people. */
  readonly origin: string;
  /** Whether the source has been read whole once; until then Nodes are of an earlier run. */
  readonly synced: boolean;
  /** Whether it can be read at this moment. */
  readonly connected: boolean;
  /** When it was last known to be in step, ms of wall clock. */
  readonly lastSync: number | undefined;
  /** Why it could not be read last, sanitised; stays after it recovers. */
  readonly lastError: { readonly at: number; readonly reason: string } | undefined;
  /** Why the Nodes are not on disk for the next start, sanitised; left out when they are. */
  readonly notSaved?: string | undefined;
  /** Why the Nodes of the last run could not be used, sanitised; left out when they could. */
  readonly notLoaded?: string | undefined;
  readonly nodes: number;
  /** The API's version of them, which the next run is not to fall behind. */
  readonly version?: string | undefined;
  /** Objects that could not be used at all. */
  readonly problems: readonly NodeProblem[];
}

/**
 * Follows Nodes. `start` is called once. `onChange` runs in the same tick in which the news
 * arrived, once for everything that arrived together, and never for a heartbeat; also once when
 * the source is first synced, even if that changed nothing. A source that cannot be read keeps the
 * Nodes it had: only news can withdraw one.
 */
export interface NodeSource {
  /**
   * `known`: Nodes of an earlier run; they are not announced, only not forgotten. `version`: the
   * API's of these, for nothing older is news.
   */
  start(onChange: OnNodes, known?: Nodes, version?: string): void;
  /**
   * Interfaces or addresses of the machine are others: what is waited for may come now, or never.
   * For sources that are not of this machine.
   */
  underlayChanged?(): void;
  stop(): Promise<void>;
  status(): NodeSourceStatus;
}
