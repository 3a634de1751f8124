/** What of text from outside is repeated. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { withoutSecret } from "../../src/k8s/problem.ts";

test("behind the word password, misspelt as it may be, nothing is repeated", () => {
  const words = ["password", "passwords", "passwd", "pasword", "pssword", "passwrd", "passord"];
  for (const word of [...words, "passowrd", "Passwort", "passwor", "paswd", "passw"]) {
    const shown = withoutSecret(`1 ${word} hunter2`);
    assert.match(shown, /^1 p[a-z]+…$/i);
  }
});

test("names that only begin like it are repeated whole", () => {
  for (const name of ["el-paso-tor1", "passo-fundo", "passover", "compass-1", "pass-through"]) {
    assert.equal(withoutSecret(name), name);
  }
});

test("before the host of a URL nothing is repeated", () => {
  assert.equal(withoutSecret("https://admin:s3cret@h:6443"), "…@h:6443");
  assert.equal(withoutSecret("admin:s3@cret@h"), "…@h");
  assert.equal(withoutSecret("admin@h:6443"), "admin@h:6443");
});
