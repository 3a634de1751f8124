/** JSON from outside, whose values are looked at one by one. */

/** An object of which nothing is known but that it is one. */
export type JsonObject = Readonly<Record<string, unknown>>;

/** False for lists and for null, which are objects to JavaScript. */
export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
