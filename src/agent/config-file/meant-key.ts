/**
 * What a key that is not known at its place may have been meant to be: one of the place, spelt or
 * called otherwise, or one of another place, as where a line is not indented enough. Pure.
 */
import { similarWords } from "../../runtime/similar.ts";
import { KEYS_BY_PLACE, keysAt } from "./schema.ts";
import type { Path } from "./words.ts";

/** How other programs call it: FRR, BIRD, GoBGP, Calico, MetalLB. Lower case, without dashes. */
const OTHER_NAMES: ReadonlyMap<string, string> = new Map([
  ...["neighbor", "neighbors", "neighbour", "neighbours"].map((name) => [name, "peers"] as const),
  ...["as", "asn", "peeras", "peerasn", "asnumber"].map((name) => [name, "remoteAs"] as const),
  ...["peeraddress", "peerip", "neighboraddress"].map((name) => [name, "address"] as const),
  ...["myas", "myasn", "myasnumber"].map((name) => [name, "localAs"] as const),
  ...["sourceaddress", "updatesource"].map((name) => [name, "localAddress"] as const),
  ...["password", "authpassword", "passwordsecret"].map((name) => [name, "passwordFile"] as const),
  ...["ebgpmultihop", "multihop"].map((name) => [name, "multihopTtl"] as const),
  ...["prefixlimit", "maxprefix", "maxprefixes"].map((name) => [name, "maximumPrefixes"] as const),
]);

/**
 * What to say behind "is not a key that is known here" of the key at the end of that path; nothing
 * when nothing is near. It names places and keys of ours, and no word of the file.
 */
export function meantKey(path: Path): string {
  const key = String(path.at(-1));
  const keys = keysAt(path.slice(0, -1));
  const elsewhere = [...KEYS_BY_PLACE].flatMap(([other, those]) =>
    those.includes(key) ? [other === "" ? "the top level" : other] : [],
  );
  const called = OTHER_NAMES.get(key.toLowerCase().replaceAll(/[-_]/g, ""));
  const meant = called !== undefined && keys.includes(called) ? [called] : similarWords(key, keys);
  const where = elsewhere.length > 0 ? `, but in ${elsewhere.join(", ")}` : "";
  const oneOf = meant.length > 1 ? "one of " : "";
  return `${where}${meant.length > 0 ? ` (Did you mean ${oneOf}${meant.join(", ")}?)` : ""}`;
}
