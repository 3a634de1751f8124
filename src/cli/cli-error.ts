/** Exit codes: 1 = it did not work out, 2 = it was not asked for properly. */
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
