/**
 * Names of the tests of some files, without running them: `node list-tests.ts FILE …` prints JSON,
 * file → names as the runner shows them. Each file is loaded with a `node:test` that only takes
 * names down, so that names made from tables are as exact as any.
 */
import { registerHooks } from "node:module";
import { join } from "node:path";
import { ROOT } from "./source-tree.ts";

interface Listing {
  names: string[];
}

const listing: Listing = { names: [] };
(globalThis as { testListing?: Listing }).testListing = listing;

const STUB = `
const note = (name) => { globalThis.testListing.names.push(name); };
export const test = (name) => note(name);
test.skip = test.only = test.todo = test;
export const it = test;
const inside = (...args) => args.findLast((arg) => typeof arg === "function");
export const describe = (name, ...rest) => { inside(...rest)?.(); };
describe.skip = describe.only = describe.todo = describe;
export const suite = describe;
const nothing = () => undefined;
export { nothing as before, nothing as after, nothing as beforeEach, nothing as afterEach };
export const mock = {};
export default test;
`;

registerHooks({
  resolve(specifier, context, next) {
    if (specifier !== "node:test") return next(specifier, context);
    const url = `data:text/javascript,${encodeURIComponent(STUB)}`;
    return { url, format: "module", shortCircuit: true };
  },
});

const result: Record<string, readonly string[]> = {};
for (const file of process.argv.slice(2)) {
  listing.names = [];
  await import(join(ROOT, file));
  result[file] = listing.names;
}
process.stdout.write(JSON.stringify(result), () => process.exit(0));
