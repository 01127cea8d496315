/** What `--json` prints: also for somebody who looks at it on a terminal. */

/** C1, line ends, and marks that change the direction of what follows. */
const OBEYED = /[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g

/** With the characters escaped that JSON leaves as they are and a terminal obeys. */
export function jsonText(value: unknown, indent = 2): string {
  const escaped = (one: string): string => `\\u${one.charCodeAt(0).toString(16).padStart(4, '0')}`
  return `${JSON.stringify(value, undefined, indent).replace(OBEYED, escaped)}\n`
}

/** ISO 8601, UTC. */
export const isoTime = (at: number): string => new Date(at).toISOString()
