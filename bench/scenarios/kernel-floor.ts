/** A row for the kernel alone, beside the daemons that bring routes into it. */
import { join } from "node:path";
import { JsonProcess } from "../../test/support/peers/json-process.ts";
import type { DaemonKind } from "../daemons/daemon.ts";
import type { FloorOrder } from "../measure/kernel-floor-main.ts";
import type { Stage } from "../stage.ts";
import type { Figures } from "./scenario.ts";

const PROGRAM = join(import.meta.dirname, "..", "measure", "kernel-floor-main.ts");

export const kernelFloor: DaemonKind = {
  ...{ key: "kernel-floor", label: "kernel floor", kernel: false },
  start: () => Promise.reject(new Error("bug: not a daemon")),
  unavailable: async () => undefined,
  version: async () => "-",
};

/** Routes made, removed, made, removed. */
export async function runKernelFloor(
  stage: Stage,
  order: Omit<FloorOrder, "link">,
): Promise<Figures> {
  const helper = new JsonProcess("kernel-floor", stage.namespaces.name("daemon"), PROGRAM);
  stage.add(() => helper.process.stop());
  helper.start({});
  await helper.ask("prepare", { ...order, link: "eth0" });
  const seconds = async (act: "add" | "delete") => (await helper.ask<number>(act)) / 1000;
  const [load, withdraw] = [await seconds("add"), await seconds("delete")];
  return { load, withdraw, again: await seconds("add"), drop: await seconds("delete") };
}
