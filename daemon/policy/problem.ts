/**
 * What is wrong with something an operator wrote, and where.
 *
 * Readers of files collect problems and go on, so that all of them are shown in one go; nothing
 * here throws. An `error` says the thing cannot mean what was written; a `warning` says it is
 * taken as written but probably not meant. `fatal` marks errors with which the daemon refuses to
 * start: other errors start, and the part they sit in counts as failed.
 */

export interface Place {
  readonly file: string
  /** 1-based. */
  readonly line: number
  /** 1-based, in UTF-16 units. */
  readonly column: number
}

export interface Problem {
  readonly severity: 'fatal' | 'error' | 'warning'
  readonly place: Place
  readonly message: string
}

export const fatal = (place: Place, message: string): Problem => problem('fatal', place, message)
export const error = (place: Place, message: string): Problem => problem('error', place, message)
export const warning = (place: Place, message: string): Problem =>
  problem('warning', place, message)

function problem(severity: Problem['severity'], place: Place, message: string): Problem {
  return { severity, place, message }
}

/** `file:line:column: error: message`, as compilers and editors write it. */
export function formatProblem({ severity, place, message }: Problem): string {
  const word = severity === 'warning' ? 'warning' : 'error'
  const line = `${place.file}:${place.line}:${place.column}: ${word}: ${message}`
  // What is quoted from a file must not speak to the terminal.
  return line.replace(/[[\p{Cc}]--[\t]]/gv, '\u{fffd}')
}

/** The candidate nearest to a misspelt name, or undefined if none is near (Damerau-free edit distance of at most a third). */
export function nearestName(name: string, candidates: Iterable<string>): string | undefined {
  let best: string | undefined
  let bestDistance = Math.max(1, Math.floor(name.length / 3)) + 1
  for (const candidate of candidates) {
    const distance = editDistance(name.toLowerCase(), candidate.toLowerCase(), bestDistance)
    if (distance < bestDistance) {
      best = candidate
      bestDistance = distance
    }
  }
  return best
}

/** Levenshtein distance, given up at `limit`. */
function editDistance(a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) >= limit) return limit
  let previous = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (let i = 1; i <= a.length; i++) {
    const current = [i]
    for (let j = 1; j <= b.length; j++) {
      const substitution = (previous[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      current.push(Math.min(substitution, (previous[j] ?? 0) + 1, (current[j - 1] ?? 0) + 1))
    }
    previous = current
  }
  return previous[b.length] ?? limit
}
