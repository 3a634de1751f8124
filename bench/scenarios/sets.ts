/** S7: members into an ipset, by our library and by ipset(8). */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { JsonProcess } from "../../test/support/peers/json-process.ts";
import { hasProgram } from "../../test/support/shell.ts";
import { type DaemonKind, versionOf } from "../daemons/daemon.ts";
import { HASH_SIZE, MAX_ELEMENTS, memberOf } from "../measure/ipset-members.ts";
import { Stage } from "../stage.ts";
import type { Figures, Measure, RunOptions, Scenario } from "./scenario.ts";

const SIZES = [1000, 10_000, 100_000] as const;
const CHANGES = 200;
const PROGRAM = join(import.meta.dirname, "..", "measure", "ipset-main.ts");

const noDaemon = () => Promise.reject(new Error("bug: not a daemon"));

const library: DaemonKind = {
  ...{ key: "ipset-js", label: "ipset-js", kernel: true, start: noDaemon },
  unavailable: async () => undefined,
  version: async () => "",
};

const floor: DaemonKind = { ...library, key: "ipset-floor", label: "kernel floor" };

const program: DaemonKind = {
  ...{ key: "ipset", label: "ipset restore", kernel: true, start: noDaemon },
  unavailable: async () => ((await hasProgram("ipset")) ? undefined : "ipset is not installed"),
  version: () => versionOf(["ipset", "--version"]),
};

export const S7: Scenario = {
  key: "s7",
  title: "S7: 100,000 members into an ipset, and one member changed",
  text:
    "A new set of type hash:net, made with the hash size that so many need, and 100,000 prefixes " +
    "/24: our library in a process that runs, against `ipset restore` of a file. Then one member " +
    "added and removed again and again; with ipset(8) a process each time. The *kernel floor* is " +
    "the library's messages, ready before the clock starts.",
  measures: [
    { key: "fill", label: "100,000 members", unit: "s", ratio: false },
    ...SIZES.map(
      (size): Measure => ({
        key: `change@${size}`,
        label: `one of ${size.toLocaleString("en")}, median`,
        unit: "ms",
        ratio: false,
      }),
    ),
    { key: "flat", label: "one of 100,000 against 1,000", unit: "", ratio: false },
  ],
  chart: {
    ...{ kind: "lines", sizes: SIZES, of: "members", measure: "change" },
    axis: "one member changed, ms",
  },
  contestants: [library, floor, program],
  takes: () => false,
  run: async (kind, options) => {
    await using stage = await Stage.build(1);
    return kind.key === program.key
      ? await runProgram(stage, options)
      : await runLibrary(stage, options, kind.key === library.key);
  },
};

function scaled(size: number, { scale }: RunOptions): number {
  return Math.max(1, Math.round(size / scale));
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0;
}

function withFlat(figures: Figures): Figures {
  const [few, many] = [figures["change@1000"] ?? 0, figures["change@100000"] ?? 0];
  return { ...figures, flat: few === 0 ? 0 : many / few };
}

async function runLibrary(stage: Stage, options: RunOptions, encodes: boolean): Promise<Figures> {
  const helper = new JsonProcess("ipset-js", stage.namespaces.name("daemon"), PROGRAM);
  stage.add(() => helper.process.stop());
  helper.start({});
  let figures: Figures = {};
  for (const size of SIZES) {
    const command = encodes ? "fill" : "floor";
    const fill = (await helper.ask<number>(command, scaled(size, options))) / 1000;
    if (!encodes) {
      await helper.ask("destroy");
      figures = { fill };
      continue;
    }
    const change = median(await helper.ask<readonly number[]>("change", CHANGES));
    await helper.ask("destroy");
    figures = { ...figures, fill, [`change@${size}`]: change };
  }
  return encodes ? withFlat(figures) : figures;
}

async function runProgram(stage: Stage, options: RunOptions): Promise<Figures> {
  const ns = stage.namespaces;
  const timed = async (...words: string[]) => {
    const begin = performance.now();
    await ns.exec("daemon", "ipset", ...words);
    return performance.now() - begin;
  };
  let figures: Figures = {};
  for (const size of SIZES) {
    const file = join(stage.folder, `${size}.ipset`);
    const lines = Array.from(
      { length: scaled(size, options) },
      (_, i) => `add bench ${memberOf(i)}`,
    );
    const parameters = `hashsize ${HASH_SIZE} maxelem ${MAX_ELEMENTS}`;
    await writeFile(file, `create bench hash:net ${parameters}\n${lines.join("\n")}\n`);
    const fill = (await timed("restore", "-file", file)) / 1000;
    const took: number[] = [];
    for (let i = 0; i < 20; i++)
      took.push(await timed(i % 2 === 0 ? "add" : "del", "bench", memberOf(-1)));
    await timed("destroy", "bench");
    figures = { ...figures, fill, [`change@${size}`]: median(took) };
  }
  return withFlat(figures);
}
