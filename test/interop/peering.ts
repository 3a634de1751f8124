/**
 * One peering under test: our speaker on the left, a daemon on the right, both configured to fit.
 * Everything lives in one lab and ends with it.
 */
import type { IpFamily } from "../../src/ip/address.ts";
import { Injector, injectorAddress } from "../support/peers/injector.ts";
import { ADDRESSES, type Capture, Lab, neighborOf, type Side } from "../support/peers/lab.ts";
import type { NeighborSetup, PeerDaemon, PeerSetup } from "../support/peers/peer.ts";
import { until } from "../support/shell.ts";

export type Kind = "ibgp" | "ebgp";
export type MakePeer = (setup: PeerSetup) => PeerDaemon;

export const AS = { left: 65001, right: 65002, injector: 64999 } as const;
const ESTABLISHED_MS_MAX = 25_000;

export interface PeeringOptions {
  readonly kind: Kind;
  /** Who connects; the other waits. */
  readonly dial: "left" | "right" | "both";
  readonly leftAs?: number;
  readonly rightAs?: number;
  /** AS of the left side as the right side is told, where that differs. */
  readonly leftAsSeen?: number;
  /** Family of the session's addresses. */
  readonly session?: IpFamily;
  /** For both sides. */
  readonly neighbor?: Partial<NeighborSetup>;
  readonly leftNeighbor?: Partial<NeighborSetup>;
  readonly rightNeighbor?: Partial<NeighborSetup>;
  /** Feeds one side with routes made by hand. */
  readonly injector?: Side;
  /** AS 64999 unless told; the fed side's AS makes it an internal client. */
  readonly injectorAs?: number;
}

export class Peering<L extends PeerDaemon = PeerDaemon> {
  readonly lab: Lab;
  readonly left: L;
  readonly right: PeerDaemon;
  readonly kind: Kind;
  readonly as: { readonly left: number; readonly right: number };
  /** Addresses of the session. */
  readonly address: { readonly left: string; readonly right: string };
  readonly capture: Capture;
  readonly injector: Injector | undefined;

  private constructor(
    parts: Pick<Peering<L>, "lab" | "left" | "right" | "kind" | "as" | "address" | "capture"> & {
      readonly injector: Injector | undefined;
    },
  ) {
    this.lab = parts.lab;
    this.left = parts.left;
    this.right = parts.right;
    this.kind = parts.kind;
    this.as = parts.as;
    this.address = parts.address;
    this.capture = parts.capture;
    this.injector = parts.injector;
  }

  /** Builds everything; starts nothing yet. */
  static async build<L extends PeerDaemon>(
    makeLeft: (setup: PeerSetup) => L,
    makeRight: MakePeer,
    options: PeeringOptions,
  ): Promise<Peering<L>> {
    const { kind, dial, session = 4 } = options;
    const leftAs = options.leftAs ?? AS.left;
    const rightAs = options.rightAs ?? (kind === "ibgp" ? leftAs : AS.right);
    const injectorAs = options.injectorAs ?? AS.injector;
    const lab = await Lab.build();
    try {
      const neighbors = (side: Side, as: number, own: Partial<NeighborSetup> | undefined) => [
        neighborOf(side, as, {
          family: session,
          passive: dial !== "both" && dial !== side,
          ...options.neighbor,
          ...own,
        }),
        ...(options.injector === side
          ? [injectorOf(side, injectorAs, side === "left" ? leftAs : rightAs)]
          : []),
      ];
      const left = await lab.setup("left", "left", {
        as: leftAs,
        neighbors: neighbors("left", rightAs, options.leftNeighbor),
      });
      const right = await lab.setup("right", "right", {
        as: rightAs,
        neighbors: neighbors("right", options.leftAsSeen ?? leftAs, options.rightNeighbor),
      });
      const { injector: fed } = options;
      const capture = await lab.capture(session);
      return new Peering({
        lab,
        left: lab.add(makeLeft(left)),
        right: lab.add(makeRight(right)),
        kind,
        as: { left: leftAs, right: rightAs },
        address: { left: ADDRESSES.left[session], right: ADDRESSES.right[session] },
        capture,
        injector: fed === undefined ? undefined : lab.add(new Injector(lab, fed, injectorAs)),
      });
    } catch (error) {
      await lab.remove();
      throw error;
    }
  }

  /** Starts all speakers and waits for the session. */
  async up(): Promise<void> {
    await Promise.all([this.left.start(), this.right.start()]);
    await this.established();
    await this.injector?.start();
  }

  async established(): Promise<void> {
    let states = "";
    await until(
      "the session is up",
      async () => {
        const left = await this.left.state(this.address.right);
        const right = await this.right.state(this.address.left);
        states = `${this.left.name} says ${left}, ${this.right.name} says ${right}`;
        return left === "Established" && right === "Established";
      },
      ESTABLISHED_MS_MAX,
    ).catch((late: Error) => {
      const outputs = `${this.left.name}: ${this.left.output}\n${this.right.name}: ${this.right.output}`;
      throw new Error(`${late.message}: ${states}\n${outputs}`);
    });
  }

  remove(): Promise<void> {
    return this.lab.remove();
  }
}

function injectorOf(side: Side, as: number, own: number): NeighborSetup {
  return {
    ...neighborOf(side, as),
    client: as === own,
    address: injectorAddress(side),
    passive: true,
    gracefulRestart: false,
  };
}
