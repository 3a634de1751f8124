/**
 * A network namespace for one test file: made by `ip netns add`, entered by setns(2) on this
 * thread. A socket stays in the namespace that it was made in, so entering is for the moment of
 * making one only.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { closeSync, openSync } from "node:fs";
import type { TestContext } from "node:test";
import koffi from "koffi";
import { keptName } from "./keeper.ts";

const CLONE_NEWNET = 0x4000_0000;

let setnsCall: ((fd: number, type: number) => number) | undefined;

function setns(fd: number): void {
  setnsCall ??= koffi.load(null).func("int setns(int, int)") as (
    fd: number,
    type: number,
  ) => number;
  if (setnsCall(fd, CLONE_NEWNET) !== 0) throw new Error(`setns: errno ${koffi.errno()}`);
}

/** Runs `make` with this thread inside a named namespace. It must not wait for anything. */
export function enterNamespace<T>(name: string, make: () => T): T {
  const inside = openSync(`/run/netns/${name}`, "r");
  try {
    return enterOpened(inside, make);
  } finally {
    closeSync(inside);
  }
}

function enterOpened<T>(inside: number, make: () => T): T {
  const home = openSync("/proc/thread-self/ns/net", "r");
  try {
    setns(inside);
    return make();
  } finally {
    setns(home);
    closeSync(home);
  }
}

function freshName(): string {
  return keptName(randomBytes(4).toString("hex"));
}

/** Why namespaces cannot be made here, or undefined when they can. */
const unavailable: string | undefined = (() => {
  if (process.getuid?.() !== 0) return "network namespaces need root";
  const name = freshName();
  const made = spawnSync("ip", ["netns", "add", name], { encoding: "utf8" });
  if (made.status !== 0) return `ip netns add: ${made.error?.message ?? made.stderr.trim()}`;
  spawnSync("ip", ["netns", "delete", name]);
  return undefined;
})();

export class Namespace {
  readonly name = freshName();
  /** Open until the process ends: its name goes before what a test has started is stopped. */
  #inside = -1;

  /**
   * A fresh namespace with its loopback up, removed after the test; undefined when there can be
   * none: the test is skipped then, or fails under `CI=true`, where a skip would pass for proof.
   */
  static make(t: TestContext): Namespace | undefined {
    if (unavailable !== undefined) {
      if (process.env["CI"] === "true") throw new Error(`needed under CI: ${unavailable}`);
      t.skip(unavailable);
      return undefined;
    }
    const namespace = new Namespace();
    execFileSync("ip", ["netns", "add", namespace.name]);
    namespace.#inside = openSync(`/run/netns/${namespace.name}`, "r");
    t.after(() => {
      execFileSync("ip", ["netns", "delete", namespace.name]);
    });
    namespace.ip("link set lo up");
    return namespace;
  }

  /** Runs `make` with this thread inside the namespace. It must not wait for anything. */
  enter<T>(make: () => T): T {
    return enterOpened(this.#inside, make);
  }

  /** `ip WORDS` inside; its output. */
  ip(words: string): string {
    return this.run("ip", ...words.split(" "));
  }

  /** `ip -batch` inside. */
  ipBatch(lines: readonly string[]): void {
    const input = lines.join("\n");
    execFileSync("ip", ["-n", this.name, "-batch", "-"], {
      input,
      stdio: ["pipe", "pipe", "pipe"],
    });
  }

  /** Any program inside; its output. A failure throws with what it wrote to stderr. */
  run(program: string, ...args: string[]): string {
    return execFileSync("ip", ["netns", "exec", this.name, program, ...args], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "pipe"],
      maxBuffer: 256 * 1024 * 1024,
    });
  }

  /** A veth pair `name`/`name`p, both up, the first with `address`. */
  veth(name: string, address: string): void {
    this.ip(`link add ${name} type veth peer name ${name}p`);
    this.ip(`link set ${name} up`);
    this.ip(`link set ${name}p up`);
    this.ip(`address add ${address} dev ${name}${address.includes(":") ? " nodad" : ""}`);
  }

  /** Index of an interface. */
  index(name: string): number {
    return Number(this.ip(`-o link show ${name}`).split(":")[0]);
  }
}
