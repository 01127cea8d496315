/**
 * Failures that are not bugs.
 *
 * LookupError: a database, a list or a file did not answer, or not in a form that can be read. "Nothing
 * found" is an answer and never an error. Any other error that reaches the chain is a bug in this program
 * and is logged with its stack.
 */

export class LookupError extends Error {
  override readonly name: string = 'LookupError'
}

/** A failure in one line for the log. Stacks are logged for bugs only. */
export function describeError(error: unknown): string {
  if (error instanceof Error) return error.message || error.name
  return String(error)
}

/** An address or URL as messages show it: without the login of `redis://:PASSWORD@HOST`. */
export function withoutLogin(address: string): string {
  return address.replace(/(^|:\/\/).*@/s, '$1***@')
}

/** A server's or driver's message without the secret it was given, should it quote that. */
export function withoutSecret(message: string, secret: string | undefined): string {
  return secret ? message.replaceAll(secret, '***') : message
}
