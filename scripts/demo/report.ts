/** What the demo prints: steps with times, what an operator would see, and the checks at the end. */
const colour = process.stdout.isTTY === true && process.env["NO_COLOR"] === undefined;
const paint = (code: number, text: string) => (colour ? `\x1b[${code}m${text}\x1b[0m` : text);

interface Check {
  readonly name: string;
  /** Undefined when it was left out. */
  readonly ok: boolean | undefined;
  readonly detail: string;
}

export class Report {
  readonly #started = performance.now();
  readonly #checks: Check[] = [];
  readonly #steps: number;
  #step = 0;

  constructor(steps: number) {
    this.#steps = steps;
  }

  get failed(): number {
    return this.#count(false);
  }

  print(text: string): void {
    process.stdout.write(`${text}\n`);
  }

  /** A numbered step begins. */
  step(title: string): void {
    this.#step++;
    this.print(`\n${paint(36, this.#time())} ${paint(1, `${this.#step}/${this.#steps} ${title}`)}`);
  }

  /** Something went on inside a step. */
  note(text: string): void {
    this.print(`${paint(2, this.#time())}   ${text}`);
  }

  /** A command and what it printed, as on a terminal of that node. */
  terminal(node: string, command: string, output: string): void {
    this.print(`    ${paint(32, `root@${node}:~#`)} ${command}`);
    for (const line of output.trimEnd().split("\n")) this.print(`    ${line}`);
  }

  /** One thing that must hold; said now, and again at the end. */
  check(name: string, ok: boolean, detail = ""): void {
    this.#checks.push({ name, ok, detail });
    this.note(formatCheck({ name, ok, detail }));
  }

  /** What this machine cannot show, and why; it fails under CI, where it would pass for proof. */
  leftOut(name: string, reason: string): void {
    const ok = process.env["CI"] === "true" ? false : undefined;
    const check = { name, ok, detail: `left out, ${reason}` };
    this.#checks.push(check);
    this.note(formatCheck(check));
  }

  /** The closing list. */
  summary(): void {
    this.print(`\n${paint(1, "What was checked")}`);
    for (const check of this.#checks) this.print(`  ${formatCheck(check)}`);
    const missing = this.#count(undefined);
    const leftOut = missing === 0 ? "" : `, ${missing} left out`;
    const counts = `${this.#count(true)} held, ${this.failed} failed${leftOut}`;
    this.print(`\n${counts}, in ${this.#seconds()} s`);
  }

  #count(ok: boolean | undefined): number {
    return this.#checks.filter((check) => check.ok === ok).length;
  }

  #time(): string {
    return `[${this.#seconds().padStart(6)} s]`;
  }

  #seconds(): string {
    return ((performance.now() - this.#started) / 1000).toFixed(2);
  }
}

function formatCheck({ name, ok, detail }: Check): string {
  if (ok === undefined) return `${paint(33, "--  ")} ${name}: ${detail}`;
  const mark = ok ? paint(32, "ok  ") : paint(31, "FAIL");
  return `${mark} ${name}${detail === "" ? "" : ` ${paint(2, `(${detail})`)}`}`;
}
