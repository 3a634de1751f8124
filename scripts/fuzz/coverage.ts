/** Which parts of the codec the fuzzer reached, by V8's block coverage. */
import { readFileSync } from "node:fs";
import { Session } from "node:inspector/promises";
import { fileURLToPath } from "node:url";

const CODEC = "/src/bgp/message/";
const session = new Session();

export async function startCoverage(): Promise<void> {
  session.connect();
  await session.post("Profiler.enable");
  await session.post("Profiler.startPreciseCoverage", { callCount: true, detailed: true });
}

/** A line for each file of the codec with the share of its characters that ran, then the whole. */
export async function codecCoverage(): Promise<string[]> {
  const { result } = await session.post("Profiler.takePreciseCoverage");
  const lines: string[] = [];
  let ran = 0;
  let all = 0;
  for (const script of result) {
    if (!script.url.includes(CODEC)) continue;
    const source = readFileSync(fileURLToPath(script.url), "utf8");
    const covered = new Uint8Array(source.length).fill(1);
    // Ranges come outer before inner: the innermost count stays.
    for (const entry of script.functions) {
      for (const { startOffset, endOffset, count } of entry.ranges) {
        covered.fill(count > 0 ? 1 : 0, startOffset, endOffset);
      }
    }
    const hit = covered.reduce((sum, one) => sum + one, 0);
    ran += hit;
    all += source.length;
    const name = script.url.slice(script.url.indexOf(CODEC) + CODEC.length);
    lines.push(`${percent(hit, source.length)}  ${name}`);
  }
  return [...lines.sort(), `${percent(ran, all)}  all of the codec`];
}

function percent(part: number, whole: number): string {
  return `${((100 * part) / Math.max(1, whole)).toFixed(1).padStart(5)} %`;
}
