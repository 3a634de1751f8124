/**
 * JSON where it means the same as YAML. The one difference that matters: of a key that stands twice
 * JSON takes the last one, and YAML refuses it, as we do.
 */

/** A string of JSON with what may follow it; behind a key there is a colon. */
const STRING = /"(?:[^"\\]|\\.)*"(\s*:)?/g;

/** The content, or undefined: the text is no JSON, or a key stands twice in one object. */
export function parseJson(text: string): unknown {
  if (!/^\s*\{/.test(text)) return undefined;
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch {
    return undefined;
  }
  return keysWritten(text) === keysIn(content) ? content : undefined;
}

/** Keys in a text that is known to be JSON. */
function keysWritten(text: string): number {
  let count = 0;
  for (const [, colon] of text.matchAll(STRING)) if (colon !== undefined) count++;
  return count;
}

/** Keys in the value of a JSON text, however deep it is. */
function keysIn(content: unknown): number {
  let count = 0;
  const left = [content];
  for (let next = left.pop(); next !== undefined; next = left.pop()) {
    if (typeof next !== "object" || next === null) continue;
    const values = Object.values(next);
    if (!Array.isArray(next)) count += values.length;
    for (const value of values) if (typeof value === "object") left.push(value);
  }
  return count;
}
