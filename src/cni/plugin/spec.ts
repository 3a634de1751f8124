/**
 * What the CNI specification says in numbers: versions of the protocol, and error codes (CNI spec
 * 1.1.0 §2 "Error"). Pure, and small: the executable carries it too.
 */

/** Versions of the protocol that are spoken, oldest first. */
export const VERSIONS = ["0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"] as const;
export type CniVersion = (typeof VERSIONS)[number];

export const COMMANDS = ["ADD", "DEL", "CHECK", "STATUS", "GC", "VERSION"] as const;
export type Command = (typeof COMMANDS)[number];

/** The version that a command came with; those that are not here were there from the start. */
export const SINCE: Readonly<Partial<Record<Command, CniVersion>>> = {
  CHECK: "0.4.0",
  GC: "1.1.0",
  STATUS: "1.1.0",
};

/** Codes of the specification; from 100 on they are the plugin's own. */
export const Code = {
  INCOMPATIBLE_VERSION: 1,
  UNSUPPORTED_FIELD: 2,
  UNKNOWN_CONTAINER: 3,
  INVALID_ENVIRONMENT: 4,
  IO_FAILURE: 5,
  DECODING_FAILURE: 6,
  INVALID_CONFIG: 7,
  TRY_AGAIN_LATER: 11,
  NOT_AVAILABLE: 50,
  LIMITED_CONNECTIVITY: 51,
  CHECK_FAILED: 100,
  NO_ADDRESS_LEFT: 101,
  EXISTS_ALREADY: 102,
  KERNEL_REFUSED: 103,
} as const;
export type Code = (typeof Code)[keyof typeof Code];

/** Why a call fails, as the runtime is told. */
export class CniSpecError extends Error {
  override readonly name = "CniSpecError";
  readonly code: Code;
  readonly details: string;

  constructor(code: Code, message: string, details = "") {
    super(message);
    this.code = code;
    this.details = details;
  }
}

/** What a call prints when it fails. Words of others are kept short and on one line. */
export function errorOutput(version: string, error: CniSpecError): string {
  const { code, message, details } = error;
  return JSON.stringify({
    cniVersion: isVersion(version) ? version : VERSIONS.at(-1),
    code,
    msg: plain(message),
    ...(details === "" ? {} : { details: plain(details) }),
  });
}

/** What VERSION prints. */
export function versionOutput(asked: unknown): string {
  const cniVersion = isVersion(asked) ? asked : VERSIONS.at(-1);
  return JSON.stringify({ cniVersion, supportedVersions: VERSIONS });
}

export function isVersion(value: unknown): value is CniVersion {
  return VERSIONS.some((version) => version === value);
}

/** Whether `version` has what `needed` brought. */
export function isAtLeast(version: CniVersion, needed: CniVersion): boolean {
  return VERSIONS.indexOf(version) >= VERSIONS.indexOf(needed);
}

const MESSAGE_MAX = 1000;

function plain(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is replaced
  return text.slice(0, MESSAGE_MAX).replace(/[\u0000-\u001f\u007f-\u009f]/g, "?");
}
