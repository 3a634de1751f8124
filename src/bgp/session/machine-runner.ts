/**
 * Runs a `PeerMachine`: feeds it inputs one after the other, has its actions done, and wakes it at
 * its deadlines.
 *
 * One timer, at the next deadline. Deadlines mostly move away (each message moves the hold timer),
 * so the timer is set anew only when it fires or when a deadline comes nearer: a peer that is only
 * alive costs a few timers a minute, however much it sends. Timers of established sessions with
 * long intervals fall on a common grid, so that a thousand peers wake the process a few times a
 * second, not each by itself.
 */
import type { Clock, Random, Timer } from "../../runtime/clock.ts";
import type { LocalIdentity } from "../fsm/collision.ts";
import type { FsmEvent } from "../fsm/events.ts";
import {
  newPeerMachine,
  type PeerAction,
  type PeerInput,
  type PeerMachine,
  peerDeadline,
  stepPeer,
} from "../fsm/peer-machine.ts";
import type { NegotiatedSession } from "../message/types.ts";
import type { FsmStateName } from "../types.ts";
import type { Transport } from "./transport.ts";

/**
 * A timer that comes this late means that the process stood still. Then what the peer sent in the
 * meantime is still unread, and is read before its silence is judged.
 */
const LATE_MS = 500;

/** The grid, and the keepalive interval from which on it is small against it. */
const COARSE_MS = 500;
const COARSE_FROM_S = 10;

export interface RunnerServices {
  readonly clock: Clock;
  readonly random: Random;
  readonly transport: Transport;
}

export interface MachineOwner {
  readonly passive: boolean;
  readonly local: LocalIdentity;
  /** Does one action; what it causes is fed in after the actions of this input. */
  act(action: PeerAction): void;
  /** Timers are about to be looked at. */
  beforeTick(): void;
  stateChanged(from: FsmStateName, to: FsmStateName): void;
}

export class MachineRunner {
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #transport: Transport;
  readonly #owner: MachineOwner;
  #machine: PeerMachine = newPeerMachine;
  readonly #inputs: PeerInput[] = [];
  #stepping = false;
  #timer: Timer | undefined;
  #timerAt = 0;
  #touchedAt = Number.NaN;

  constructor(services: RunnerServices, owner: MachineOwner) {
    this.#clock = services.clock;
    this.#random = services.random;
    this.#transport = services.transport;
    this.#owner = owner;
  }

  get state(): FsmStateName {
    return this.#machine.main.fsm.name;
  }

  /** What was negotiated, from OpenConfirm on. */
  get session(): NegotiatedSession | undefined {
    return this.#machine.main.fsm.session;
  }

  /** The connection that counts; a tracked one is not it. */
  get mainConnection(): number | undefined {
    return this.#machine.main.connection;
  }

  /** The number that the next connection gets. */
  get nextConnection(): number {
    return this.#machine.nextConnection;
  }

  /** True inside `act`. */
  get stepping(): boolean {
    return this.#stepping;
  }

  on(connection: number, event: FsmEvent): void {
    this.step({ type: "on", connection, event });
  }

  /**
   * Tells of a message of an established session, which only moves timers: doing it once in a
   * millisecond comes to the same, and a flood of UPDATEs then costs no steps. `now` is what the
   * clock said a few messages ago at most: asking it would cost more than all the rest here.
   */
  touch(connection: number, event: FsmEvent, now: number): void {
    const millisecond = Math.floor(now);
    if (millisecond === this.#touchedAt && this.isEstablished(connection)) return;
    this.#touchedAt = millisecond;
    this.on(connection, event);
  }

  isEstablished(connection: number): boolean {
    return this.#machine.main.connection === connection && this.state === "Established";
  }

  step(input: PeerInput): void {
    this.#inputs.push(input);
    if (this.#stepping) return;
    this.#stepping = true;
    const before = this.state;
    for (let next = this.#inputs.shift(); next !== undefined; next = this.#inputs.shift()) {
      const { machine, actions } = stepPeer(this.#machine, next, {
        now: this.#clock.now(),
        random: this.#random(),
        settings: this.#owner,
        local: this.#owner.local,
      });
      this.#machine = machine;
      for (const action of actions) this.#owner.act(action);
    }
    this.#stepping = false;
    this.#arm();
    if (this.state !== before) this.#owner.stateChanged(before, this.state);
  }

  #arm(): void {
    const next = peerDeadline(this.#machine);
    if (next === undefined) {
      this.#timer?.cancel();
      this.#timer = undefined;
      return;
    }
    const at = this.#isCoarse() ? Math.ceil(next / COARSE_MS) * COARSE_MS : next;
    if (this.#timer !== undefined && this.#timerAt <= at) return;
    this.#timer?.cancel();
    this.#timerAt = at;
    this.#timer = this.#clock.after(at - this.#clock.now(), () => {
      if (this.#clock.now() - at < LATE_MS) this.#tick();
      else this.#transport.defer(() => this.#tick());
    });
  }

  #tick(): void {
    this.#timer = undefined;
    this.#owner.beforeTick();
    this.step({ type: "tick" });
  }

  #isCoarse(): boolean {
    return this.state === "Established" && (this.session?.keepaliveSeconds ?? 0) >= COARSE_FROM_S;
  }
}
