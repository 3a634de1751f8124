/** Charts by hand: plain SVG text, no fonts or scripts from elsewhere; axes are logarithmic. */
import { number } from "./table.ts";

export interface Bar {
  readonly label: string;
  readonly value: number;
  /** Drawn as the one that the page is about. */
  readonly own: boolean;
}

export interface Panel {
  readonly title: string;
  readonly unit: string;
  readonly bars: readonly Bar[];
}

export interface Line {
  readonly label: string;
  readonly own: boolean;
  readonly points: readonly { readonly x: number; readonly y: number }[];
}

const WIDTH = 820;
const LABEL_WIDTH = 195;
const VALUE_WIDTH = 80;
const BAR_HEIGHT = 18;
const BAR_STEP = 24;
const PANEL_GAP = 34;
const TITLE_HEIGHT = 44;
const OWN_COLOUR = "#0b6e4f";
const COLOURS = ["#4c6a92", "#b0703c", "#7a5c99", "#8c8c3e", "#a34a5a", "#4f9aa8", "#77777f"];

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

function text(x: number, y: number, words: string, more = ""): string {
  return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}"${more}>${escaped(words)}</text>`;
}

function page(height: number, title: string, body: readonly string[]): string {
  const style = "font: 13px system-ui, sans-serif; fill: #222";
  return `${[
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" role="img"`,
    ` width="${WIDTH}" height="${height}" style="${style}">`,
    `<title>${escaped(title)}</title>`,
    `<rect width="${WIDTH}" height="${height}" fill="#fff"/>`,
    text(16, 26, title, ' style="font-size:16px;font-weight:600"'),
    ...body,
    "</svg>",
  ].join("\n")}\n`;
}

/** The decades that hold all values. */
function decades(values: readonly number[]): { readonly low: number; readonly high: number } {
  const positive = values.filter((value) => value > 0);
  const low = Math.floor(Math.log10(Math.min(...positive)));
  return { low, high: Math.max(low + 1, Math.ceil(Math.log10(Math.max(...positive)))) };
}

function tick(exponent: number): string {
  return exponent >= 3 ? (10 ** exponent).toLocaleString("en") : String(10 ** exponent);
}

/** One panel under another, a bar for each daemon, the value behind it. */
export function barChart(title: string, panels: readonly Panel[]): string {
  const body: string[] = [];
  let top = TITLE_HEIGHT;
  for (const { title: name, unit, bars } of panels) {
    const { low, high } = decades(bars.map((bar) => bar.value));
    const span = WIDTH - LABEL_WIDTH - VALUE_WIDTH;
    const x = (value: number) =>
      LABEL_WIDTH +
      (Math.max(0, Math.log10(Math.max(value, 10 ** low)) - low) / (high - low)) * span;
    const bottom = top + 22 + bars.length * BAR_STEP;
    body.push(text(16, top + 12, `${name}, ${unit}`, ' style="font-weight:600"'));
    for (let exponent = low; exponent <= high; exponent++) {
      const at = x(10 ** exponent).toFixed(1);
      body.push(`<path d="M${at} ${top + 20}V${bottom}" stroke="#ddd"/>`);
      body.push(
        text(
          Number(at),
          bottom + 13,
          tick(exponent),
          ' text-anchor="middle" fill="#777" font-size="11"',
        ),
      );
    }
    bars.forEach((bar, index) => {
      const y = top + 24 + index * BAR_STEP;
      const width = Math.max(2, x(bar.value) - LABEL_WIDTH);
      const colour = bar.own ? OWN_COLOUR : "#9aa5b1";
      body.push(text(LABEL_WIDTH - 8, y + 13, bar.label, ' text-anchor="end"'));
      body.push(
        `<rect x="${LABEL_WIDTH}" y="${y}" width="${width.toFixed(1)}"` +
          ` height="${BAR_HEIGHT}" fill="${colour}"/>`,
      );
      body.push(text(LABEL_WIDTH + width + 6, y + 13, number(bar.value)));
    });
    top = bottom + PANEL_GAP;
  }
  return page(top, title, body);
}

const PLOT = { left: 80, right: 600, top: 60, bottom: 360 } as const;

/** A line for each daemon: y against x. */
export function lineChart(
  title: string,
  axes: { readonly x: string; readonly y: string },
  lines: readonly Line[],
): string {
  const points = lines.flatMap((line) => line.points);
  const [xs, ys] = [decades(points.map((p) => p.x)), decades(points.map((p) => p.y))];
  const { left, right, top, bottom } = PLOT;
  const x = (value: number) =>
    left + ((Math.log10(value) - xs.low) / (xs.high - xs.low)) * (right - left);
  const y = (value: number) => {
    const exponent = Math.log10(Math.max(value, 10 ** ys.low));
    return bottom - ((exponent - ys.low) / (ys.high - ys.low)) * (bottom - top);
  };
  const body: string[] = [];
  for (let exponent = xs.low; exponent <= xs.high; exponent++) {
    const at = x(10 ** exponent);
    body.push(`<path d="M${at.toFixed(1)} ${top}V${bottom}" stroke="#e3e3e3"/>`);
    body.push(text(at, bottom + 18, tick(exponent), ' text-anchor="middle"'));
  }
  for (let exponent = ys.low; exponent <= ys.high; exponent++) {
    const at = y(10 ** exponent);
    body.push(`<path d="M${left} ${at.toFixed(1)}H${right}" stroke="#e3e3e3"/>`);
    body.push(text(left - 8, at + 4, tick(exponent), ' text-anchor="end"'));
  }
  body.push(text((left + right) / 2, bottom + 40, axes.x, ' text-anchor="middle"'));
  body.push(text(left, top - 10, axes.y));
  lines.forEach((line, index) => {
    const colour = line.own ? OWN_COLOUR : (COLOURS[index % COLOURS.length] ?? "#777");
    const path = line.points.map((p) => `${x(p.x).toFixed(1)},${y(p.y).toFixed(1)}`).join(" ");
    const width = line.own ? 3 : 1.5;
    body.push(
      `<polyline points="${path}" fill="none" stroke="${colour}" stroke-width="${width}"/>`,
    );
    for (const p of line.points) {
      body.push(
        `<circle cx="${x(p.x).toFixed(1)}" cy="${y(p.y).toFixed(1)}" r="3" fill="${colour}"/>`,
      );
    }
    const at = top + 8 + index * 20;
    body.push(`<rect x="${right + 24}" y="${at - 9}" width="14" height="10" fill="${colour}"/>`);
    body.push(text(right + 46, at, line.label));
  });
  return page(bottom + 60, title, body);
}
