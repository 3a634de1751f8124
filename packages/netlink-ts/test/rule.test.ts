/** Rules to the wire and back, with each of their fields, and what is left out. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { MessageWriter } from "../src/message-writer.ts";
import {
  decodeRule,
  encodeRule,
  encodeRuleFilter,
  RuleAction,
  type RuleSpec,
} from "../src/rule.ts";

function body(write: (writer: MessageWriter) => void): Buffer {
  const writer = new MessageWriter();
  write(writer);
  return Buffer.from(writer.bytes.subarray(0, writer.length));
}

const encoded = (rule: RuleSpec) => body((writer) => encodeRule(writer, rule));
const back = (rule: RuleSpec) => {
  // Behind something else: positions count.
  const bytes = Buffer.concat([Buffer.alloc(3, 0xee), encoded(rule)]);
  return decodeRule(bytes, 3, bytes.length);
};

test("a rule has all of its fields on the wire", () => {
  const rules: readonly RuleSpec[] = [
    {
      ...{ family: 4, from: "10.0.0.0/8", to: "192.0.2.0/24", tos: 16, table: 255 },
      ...{ action: RuleAction.TO_TABLE, flags: 2, priority: 99, mark: 3, markMask: 0xff },
      ...{ inputInterface: "eth0", outputInterface: "eth1", suppressPrefixLength: 0, protocol: 17 },
    },
    { family: 6, to: "fd00::/16", tos: 0, table: 256, action: RuleAction.TO_TABLE, flags: 0 },
    { family: 6, tos: 0, table: 0, action: RuleAction.GOTO, flags: 0, target: 32_766 },
  ];
  for (const rule of rules) assert.deepEqual(back(rule), rule);
});

test("the header of a rule of which nothing is said, and of a listing", () => {
  const zeros = "00".repeat(6);
  assert.equal(encoded({ family: 4 }).toString("hex"), `02${zeros}0100000000`);
  const filter = body((writer) => encodeRuleFilter(writer, 6));
  assert.equal(filter.toString("hex"), `0a${zeros}0000000000`);
});

test("the table of a rule is in its header up to 255, then in an attribute", () => {
  assert.equal(encoded({ family: 4, table: 255 }).length, 12);
  assert.equal(encoded({ family: 4, table: 255 })[4], 255);
  assert.equal(encoded({ family: 4, table: 256 })[4], 0);
  assert.equal(encoded({ family: 4, table: 256 }).subarray(12).toString("hex"), "08000f0000010000");
});

test("the numbers of attributes are those of linux/fib_rules.h", () => {
  const rule = { family: 4, to: "10.0.0.0/8", outputInterface: "a", target: 1 } as const;
  const attributes = "080001000a000000" + "0600110061000000" + "0800040001000000";
  assert.equal(encoded(rule).subarray(12).toString("hex"), attributes);
});

test("padding says nothing of a rule, any other attribute does", () => {
  const others = (attribute: string) => {
    const bytes = Buffer.concat([encoded({ family: 4 }), Buffer.from(attribute, "hex")]);
    return decodeRule(bytes, 0, bytes.length)?.others;
  };
  assert.equal(others("04001200"), undefined);
  assert.equal(others("0500130001000000"), true, "FRA_L3MDEV");
});

test("a rule of another family is not ours, and its prefixes are of one family", () => {
  const bytes = encoded({ family: 4 });
  bytes[0] = 7;
  assert.equal(decodeRule(bytes, 0, bytes.length), undefined);
  assert.throws(() => decodeRule(bytes, 1, bytes.length), { name: "MalformedMessageError" });
  assert.throws(() => encoded({ family: 6, to: "10.0.0.0/8" }), { code: "EINVAL" });
});
