/** 2 = the command line asks for what cannot be, 1 = anything else. docs/flags.md has each case. */
export type FailureCode = 1 | 2;

/** An end of the program that is told in one sentence, without a stack. */
export class CliError extends Error {
  readonly exitCode: FailureCode;

  constructor(message: string, exitCode: FailureCode, options?: ErrorOptions) {
    super(message, options);
    this.name = "CliError";
    this.exitCode = exitCode;
  }
}
