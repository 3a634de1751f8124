/**
 * A third speaker, made by hand, that feeds one of the two under test with whatever attributes a
 * test wants, hundreds of thousands of prefixes if need be, and counts what it is sent.
 */
import { join } from "node:path";
import { until } from "../shell.ts";
import type { BulkOrder, InjectorOptions, WithdrawOrder } from "./injector-main.ts";
import { JsonProcess } from "./json-process.ts";
import { ADDRESSES, type Lab, otherSide, type Side } from "./lab.ts";
import { familyOfText, type TestRoute } from "./peer.ts";

const PROGRAM = join(import.meta.dirname, "injector-main.ts");

export class Injector {
  readonly #process: JsonProcess;
  readonly #options: InjectorOptions;

  /** Feeds the speaker on `side`; stands in the other side's namespace, where `own` may be its. */
  constructor(
    lab: Lab,
    side: Side,
    as: number,
    own: Partial<Pick<InjectorOptions, "localAddress" | "routerId" | "addPath">> = {},
  ) {
    const from = otherSide(side);
    this.#process = new JsonProcess("injector", lab.namespaces.name(from), PROGRAM);
    const { localAddress = ADDRESSES[from].injector } = own;
    this.#options = {
      localAddress,
      remoteAddress: ADDRESSES[side][familyOfText(localAddress)],
      as,
      routerId: ADDRESSES[from].injector,
      ...own,
    };
  }

  /** Dials until the session stands. */
  async start(): Promise<void> {
    this.#process.start(this.#options);
    let error = "";
    await until("the injector's session", async () => {
      const state = await this.#process.ask<{ established: boolean; error: string }>("state");
      error = state.error;
      return state.established;
    }).catch((late: Error) => {
      throw new Error(`${late.message}: ${error}`);
    });
  }

  announce(routes: readonly TestRoute[]): Promise<void> {
    return this.#process.ask("announce", routes);
  }

  withdraw(prefixes: readonly string[], pathId?: number): Promise<void> {
    return this.#process.ask("withdraw", { prefixes, pathId } satisfies WithdrawOrder);
  }

  endOfRib(): Promise<void> {
    return this.#process.ask("endOfRib");
  }

  /** Prefixes /24 from 20.0.0.0 on with the attributes of `order.route`. */
  bulk(order: BulkOrder): Promise<void> {
    return this.#process.ask("bulk", order);
  }

  /** Prefixes that it has been told of and that were not withdrawn. */
  heard(): Promise<number> {
    return this.#process.ask("heard");
  }

  /**
   * What it has been told of prefixes: attributes by family and NLRI (`6 30fd0000000001`), both as
   * on the wire, in hex; of MP_REACH_NLRI the next hop alone.
   */
  attributes(): Promise<Readonly<Record<string, string>>> {
    return this.#process.ask("attributes");
  }

  kill(): Promise<void> {
    return this.#process.process.kill();
  }

  stop(): Promise<void> {
    return this.#process.process.stop();
  }
}

/** What a speaker must know of its injector. */
export function injectorAddress(side: Side): string {
  return ADDRESSES[otherSide(side)].injector;
}
