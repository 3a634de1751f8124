/** Prometheus's text format, as far as the agent writes it; and what a scrape makes of it. */

export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** Samples of a metrics page. Throws for a line that is none. */
export function parseSamples(page: string): readonly Sample[] {
  const lines = page.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return lines.map((line) => {
    const match = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/.exec(line);
    if (match === null) throw new Error(`no sample: ${line}`);
    const pairs = (match[2] ?? "").matchAll(/([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)",?/g);
    const labels = Object.fromEntries([...pairs].map(([, name, value]) => [name!, value!]));
    return { name: match[1]!, labels, value: Number(match[3]) };
  });
}

/** Whether the sample has these labels, among others. */
export function hasLabels({ labels }: Sample, wanted: Sample["labels"]): boolean {
  return Object.entries(wanted).every(([label, value]) => labels[label] === value);
}

/** `name{label="value",…}`. */
export function seriesName({ name, labels }: Pick<Sample, "name" | "labels">): string {
  const pairs = Object.entries(labels).map(([label, value]) => `${label}="${value}"`);
  return `${name}{${pairs.join(",")}}`;
}

/** An entry of `metric_relabel_configs`; `drop` is the only action that is known here. */
export interface DropRule {
  readonly source_labels: readonly string[];
  readonly regex: string;
  readonly action: "drop";
}

/** Whether the sample is kept. */
export function isKept({ name, labels }: Sample, rules: readonly DropRule[]): boolean {
  const all: Readonly<Record<string, string>> = { ...labels, __name__: name };
  return !rules.some(({ source_labels: from, regex, action }) => {
    if (action !== "drop") throw new Error(`unknown action ${action}`);
    return new RegExp(`^(?:${regex})$`).test(from.map((label) => all[label] ?? "").join(";"));
  });
}
