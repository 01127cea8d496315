/**
 * The failures that are nobody's bug.
 *
 * LookupError: something we asked (a database, a list, a file) did not answer, or not in a form
 * that can be read. "Nothing found" is an answer and never an error. Everything that is not a
 * LookupError and reaches the chain is a bug of ours and is logged with its stack.
 */

export class LookupError extends Error {
  override readonly name: string = 'LookupError'
}

/** A failing thing as one line for the log. Stacks are kept only for bugs. */
export function describeError(error: unknown): string {
  if (error instanceof Error) return error.message || error.name
  return String(error)
}

/** An address or URL as messages show it: `redis://:PASSWORD@HOST` is not repeated. */
export function withoutLogin(address: string): string {
  return address.replace(/(^|:\/\/).*@/s, '$1***@')
}

/** What a server or a driver says, should it quote a secret that it was given: that stays among us. */
export function withoutSecret(message: string, secret: string | undefined): string {
  return secret ? message.replaceAll(secret, '***') : message
}
