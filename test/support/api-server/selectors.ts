/** Label and field selectors, as far as clients use them for Nodes. */
import { ApiFailure, isJsonObject, type JsonObject } from "./api-status.ts";

export type Selector = (object: JsonObject) => boolean;

const SET_BASED = /^([-\w./]+)\s+(in|notin)\s+\(([^)]*)\)$/;
const EQUALITY = /^([-\w./]+)\s*(==|=|!=)\s*(.*)$/;

/** `a=b,c!=d,e,!f,g in (h,i)`. */
export function labelSelector(text: string | null): Selector | undefined {
  if (text === null || text.trim() === "") return undefined;
  const terms = text.split(/,(?![^(]*\))/).map((term) => labelTerm(term.trim()));
  return (object) => {
    const metadata = object["metadata"];
    const labels = isJsonObject(metadata) ? metadata["labels"] : undefined;
    return terms.every((term) => term(isJsonObject(labels) ? labels : {}));
  };
}

function labelTerm(term: string): (labels: JsonObject) => boolean {
  const set = SET_BASED.exec(term);
  if (set !== null) {
    const [, key, operator, list] = set;
    const values = list!.split(",").map((value) => value.trim());
    const wanted = operator === "in";
    return (labels) => values.includes(String(labels[key!] ?? "")) === wanted;
  }
  const equality = EQUALITY.exec(term);
  if (equality !== null) {
    const [, key, operator, value] = equality;
    return (labels) => (labels[key!] === value) === (operator !== "!=");
  }
  if (/^![-\w./]+$/.test(term)) return (labels) => labels[term.slice(1)] === undefined;
  if (/^[-\w./]+$/.test(term)) return (labels) => labels[term] !== undefined;
  throw new ApiFailure(400, `unable to parse requirement: ${JSON.stringify(term)}`);
}

/** `metadata.name=x`, `spec.unschedulable=true`, and `!=`. */
export function fieldSelector(text: string | null): Selector | undefined {
  if (text === null || text.trim() === "") return undefined;
  const terms = text.split(",").map((term) => {
    const match = EQUALITY.exec(term.trim());
    const [, field, operator, value] = match ?? [];
    if (field !== "metadata.name" && field !== "spec.unschedulable") {
      throw new ApiFailure(400, `field label not supported: ${JSON.stringify(term)}`);
    }
    const [part, key] = field.split(".") as [string, string];
    return (object: JsonObject) => {
      const parent = object[part];
      const found = isJsonObject(parent) ? parent[key] : undefined;
      const text = String(found ?? (key === "unschedulable" ? false : ""));
      return (text === value) === (operator !== "!=");
    };
  });
  return (object) => terms.every((term) => term(object));
}

/** Both, or undefined when neither is given. */
export function selectorOf(query: URLSearchParams): Selector | undefined {
  const label = labelSelector(query.get("labelSelector"));
  const field = fieldSelector(query.get("fieldSelector"));
  if (label === undefined || field === undefined) return label ?? field;
  return (object) => label(object) && field(object);
}
