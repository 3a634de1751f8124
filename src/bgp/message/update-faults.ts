/** What can be wrong with an UPDATE beyond the value of one attribute. */
import { AttributeType } from "./attribute/codec.ts";
import { type AttributeFault, fault } from "./attribute/fault.ts";
import { attributeName } from "./attribute/table.ts";
import { UpdateSubcode } from "./errors.ts";
import type { ErrorTreatment } from "./types.ts";

// RFC 7606 §4
export const LIST_CUT_OFF: AttributeFault = listFault(
  "withdraw",
  "octets left over that are no attribute",
);
// RFC 4760 §8 read backwards: IPv4 unicast has its own fields, but only where it was agreed on.
export const IPV4_NOT_NEGOTIATED: AttributeFault = fault(
  "discard",
  0,
  UpdateSubcode.optionalAttribute,
  "IPv4 prefixes, which were not negotiated",
);
// RFC 7606 §3 g
export const DUPLICATE_MP: AttributeFault = listFault(
  "reset",
  "MP_REACH_NLRI or MP_UNREACH_NLRI came twice",
);

function listFault(treatment: ErrorTreatment, reason: string): AttributeFault {
  return fault(treatment, 0, UpdateSubcode.malformedAttributeList, reason);
}

/** RFC 7606 §3 d. */
function missing(type: number): AttributeFault {
  const reason = `${attributeName(type)} is missing`;
  return fault("withdraw", type, UpdateSubcode.missingWellKnown, reason);
}

export const MISSING_ORIGIN: AttributeFault = missing(AttributeType.origin);
export const MISSING_AS_PATH: AttributeFault = missing(AttributeType.asPath);
export const MISSING_NEXT_HOP: AttributeFault = missing(AttributeType.nextHop);
export const WRONG_FIRST_AS: AttributeFault = fault(
  "withdraw",
  AttributeType.asPath,
  UpdateSubcode.malformedAsPath,
  "AS_PATH does not begin with the AS of the peer",
);

/** RFC 7606 §4; an MP attribute that runs over hides prefixes: §3 j. */
export function overrun(type: number): AttributeFault {
  const treatment = hidesPrefixes(type) ? "reset" : "withdraw";
  return listFault(treatment, `${attributeName(type)} runs over the attributes`);
}

/** The list ends within the head of this attribute: the same. */
export function cutOff(type: number): AttributeFault {
  return hidesPrefixes(type) ? overrun(type) : LIST_CUT_OFF;
}

function hidesPrefixes(type: number): boolean {
  return type === AttributeType.mpReach || type === AttributeType.mpUnreach;
}

/** RFC 7606 §3 g: all but the first are left out. */
export function duplicate(type: number): AttributeFault {
  const reason = `${attributeName(type)} came twice`;
  return fault("discard", type, UpdateSubcode.malformedAttributeList, reason);
}
