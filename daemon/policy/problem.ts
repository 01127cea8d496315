/**
 * A mistake in something an operator wrote, and its place.
 *
 * Readers of files collect problems and continue, so that all of them are reported at once; nothing
 * here throws. An `error` means that something cannot be used as written; a `warning`, that it is
 * used as written but probably not intended. With a `fatal` error the daemon refuses to start; with
 * other errors it starts, and the affected part counts as failed.
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

/** Something worth saying that need not have a place in a file. Every Problem is one. */
export interface Notice {
  readonly severity: Problem['severity']
  readonly place?: Place | undefined
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
  return printable(`${formatPlace(place)}: ${word}: ${message}`)
}

/** For the terminal: a problem as `formatProblem` writes it, anything else as UCR does: `W: message`. */
export function formatNotice({ severity, place, message }: Notice): string {
  if (place !== undefined) return formatProblem({ severity, place, message })
  return printable(`${severity === 'warning' ? 'W' : 'E'}: ${message}`)
}

/** For the log, whose lines have a severity of their own. */
export function describeNotice({ place, message }: Notice): string {
  return printable(place === undefined ? message : `${formatPlace(place)}: ${message}`)
}

function formatPlace({ file, line, column }: Place): string {
  return `${file}:${line}:${column}`
}

/** What is quoted from a file must not control the terminal. */
function printable(text: string): string {
  return text.replace(/[[\p{Cc}]--[\t]]/gv, '\u{fffd}')
}

/** The candidate nearest to a misspelt name; undefined if all differ in more than a third of it. */
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

/** Levenshtein distance, at most `limit`. */
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
