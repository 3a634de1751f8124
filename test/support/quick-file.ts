/** A test file that ends at once, see hanging-file.ts. */
import { test } from "node:test";

test("it is quick", () => undefined);
