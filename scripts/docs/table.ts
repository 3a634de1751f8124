/** Markdown tables for generated pages. */

/** Says at the top of each page where it comes from. */
export function generatedFrom(source: string): string {
  return `<!-- Made by \`npm run docs\` from ${source}: change that, not this. -->`;
}

/** Text fit for a cell. */
export function cell(text: string): string {
  return text
    .replaceAll(/\s*\n\s*/g, " ")
    .replaceAll("|", "\\|")
    .trim();
}

/** A table; `rows` are cells in the order of the columns. */
export function table(columns: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.map(cell).join(" | ")} |`;
  return [line(columns), `|${columns.map(() => "---|").join("")}`, ...rows.map(line)].join("\n");
}
