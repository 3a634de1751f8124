/**
 * A test that takes LAB_MS, with all that a lab may have: namespaces, a folder, and programs, of which
 * some do not die with who started them. Run by test/kernel/cut-off.test.ts, which cuts it off; the
 * file that LAB_FACTS names tells what there is.
 */
import { writeFileSync } from "node:fs";
import { test } from "node:test";
import { keptFolder } from "../../packages/netlink-ts/test/support/keeper.ts";
import { Namespace } from "../../packages/netlink-ts/test/support/namespace.ts";
import { Namespaces } from "./namespaces.ts";
import { Daemon, until } from "./shell.ts";

export interface LabFacts {
  /** Of the process of the test file. */
  readonly pid: number;
  /** Of a program that is in no namespace. */
  readonly outside: number;
}

const SLEEP = ["sh", "-c", "sleep 1000 > /dev/null 2>&1 & echo up; wait"];

keptFolder();
const namespaces = new Namespaces();
const inside = ["netns", "exec", await namespaces.add("node")];
const daemons = [
  new Daemon("inside", "ip", [...inside, ...SLEEP]),
  new Daemon("another user", "ip", [
    ...[...inside, "setpriv", "--reuid=65534", "--clear-groups"],
    ...SLEEP,
  ]),
];
const outside = new Daemon("outside", "sleep", ["1000"]);
const up = () => daemons.every(({ output }) => output === "up\n");
await until("all programs are up", up);

test("it takes long", async (t) => {
  t.after(() => Promise.all([...daemons, outside].map((daemon) => daemon.stop())));
  Namespace.make(t);
  const facts: LabFacts = { pid: process.pid, outside: outside.child.pid! };
  writeFileSync(process.env["LAB_FACTS"]!, JSON.stringify(facts));
  const end = performance.now() + Number(process.env["LAB_MS"]);
  while (performance.now() < end) {
    await new Promise((resolve) => setTimeout(resolve, 50));
    process.stdout.write("it says something now and then\n");
  }
});
