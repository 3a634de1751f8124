/**
 * Whom a kubeconfig's user asks to be taken for (`as`, `as-uid`, `as-groups`, `as-user-extra`), as
 * headers of each request, in client-go's way. Of these the library knows `as` alone. Pure.
 */
import { isJsonObject, type JsonObject } from "../runtime/json.ts";
import { IMPERSONATION_BYTES_MAX } from "./limits.ts";

/** Header names with their values, in octets as `node:http` writes them. */
export type ImpersonationHeaders = Readonly<Record<string, string[]>>;

/** No control character but a tab, which an HTTP field may not hold (RFC 9110 §5.5). */
const FIELD_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;
/** RFC 9110 §5.6.2 but for %, with which the others are written. */
const NAME_OCTET = /[\w!#$&'*+.^`|~-]/;

/** None for a user that says nothing of it. Throws one sentence, without values of the file. */
export function impersonationHeaders(user: JsonObject): ImpersonationHeaders {
  const name = textsOf(user, "as", false);
  const uid = textsOf(user, "as-uid", false);
  const groups = textsOf(user, "as-groups", true);
  const extra = extraOf(user);
  if (name.length === 0) {
    if (uid.length + groups.length + extra.length === 0) return {};
    throw new Error("as-uid, as-groups and as-user-extra need as");
  }
  const headers: Record<string, string[]> = { "Impersonate-User": [...name] };
  if (uid.length > 0) headers["Impersonate-Uid"] = [...uid];
  if (groups.length > 0) headers["Impersonate-Group"] = [...groups];
  for (const [key, values] of extra) {
    const field = `Impersonate-Extra-${key}`;
    headers[field] = [...(headers[field] ?? []), ...values];
  }
  const all = Object.entries(headers).flatMap(([field, values]) =>
    values.map((value) => `${field}: ${value}\r\n`),
  );
  if (all.join("").length <= IMPERSONATION_BYTES_MAX) return headers;
  throw new Error(`whom it is taken for is more than ${IMPERSONATION_BYTES_MAX} bytes`);
}

/** Keys as they stand in a field's name, whose case means nothing. */
function extraOf(user: JsonObject): readonly (readonly [string, readonly string[]])[] {
  const extra = user["as-user-extra"] ?? {};
  if (!isJsonObject(extra)) throw new Error("as-user-extra is not keys with lists");
  return Object.keys(extra).map((key) => {
    if (key === "") throw new Error("as-user-extra has an empty key");
    // The server makes small letters of the field's name, where Ü is no letter any more.
    return [escaped(key).toLowerCase(), textsOf(extra, key, true, "a value of as-user-extra")];
  });
}

function textsOf(from: JsonObject, key: string, isList: boolean, called = key): readonly string[] {
  const value = from[key] ?? (isList ? [] : "");
  const texts: readonly unknown[] = isList && Array.isArray(value) ? value : [value];
  if (isList !== Array.isArray(value)) {
    throw new Error(`${called} is not ${isList ? "a list" : "text"}`);
  }
  return texts.flatMap((text) => {
    if (typeof text !== "string") throw new Error(`${called} is not text`);
    const octets = Buffer.from(text).toString("latin1");
    if (!FIELD_VALUE.test(octets)) throw new Error(`${called} has a control character`);
    return text === "" && !isList ? [] : [octets];
  });
}

function escaped(key: string): string {
  const octets = [...Buffer.from(key).toString("latin1")];
  return octets.map((octet) => (NAME_OCTET.test(octet) ? octet : percent(octet))).join("");
}

function percent(octet: string): string {
  return `%${octet.charCodeAt(0).toString(16).padStart(2, "0")}`;
}
