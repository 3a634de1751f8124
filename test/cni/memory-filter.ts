/** Packet rules in memory. */
import type { PacketFilter, PacketFilterError } from "../../src/cni/pod-rules.ts";
import { type PresentRules, parseRules, type Rule } from "../../src/cni/rules.ts";
import type { IpFamily } from "../../src/ip/address.ts";
import type { FakeClock } from "../support/fake-clock.ts";

/** Understands what the plan writes, as far as these tests need it. */
export class MemoryFilter implements PacketFilter {
  readonly version = "iptables v1.8.9 (nf_tables)";
  readonly randomFully = true;
  readonly rules = new Map<string, Rule[]>();
  refusal: PacketFilterError | undefined;
  hasGeneration = true;
  reads = 0;
  readMs = 0;
  changeMs = 0;
  readonly #clock: FakeClock;
  #generation = 1;

  constructor(clock: FakeClock) {
    this.#clock = clock;
  }

  async read(family: IpFamily): Promise<PresentRules> {
    this.reads++;
    if (this.refusal !== undefined) throw this.refusal;
    if (this.readMs > 0) {
      await new Promise<void>((resolve) => this.#clock.after(this.readMs, resolve));
    }
    return {
      forward: this.chain(family, "FORWARD"),
      postrouting: this.chain(family, "POSTROUTING"),
      egressChain: undefined,
    };
  }

  async change(family: IpFamily, _table: string, lines: readonly string[]): Promise<void> {
    if (this.changeMs > 0) {
      await new Promise<void>((resolve) => this.#clock.after(this.changeMs, resolve));
    }
    this.#generation++;
    for (const line of lines) {
      const [, command, name, rest] = /^-([AID]) (\S+)(?: 1)? (.*)$/.exec(line)!;
      const rule = parseRules(`-A X ${rest}`, "X")[0]!;
      const rules = this.chain(family, name!);
      const others = rules.filter((one) => one.join(" ") !== rule.join(" "));
      this.rules.set(`${family} ${name}`, command === "D" ? others : [...rules, rule]);
    }
  }

  async generation(): Promise<number | undefined> {
    return this.hasGeneration ? this.#generation : undefined;
  }

  chain(family: IpFamily, name: string): Rule[] {
    return this.rules.get(`${family} ${name}`) ?? [];
  }

  /** Of one family, or of both. */
  flush(family?: IpFamily): void {
    for (const name of [...this.rules.keys()]) {
      if (family === undefined || name.startsWith(`${family} `)) this.rules.delete(name);
    }
    this.#generation++;
  }
}
