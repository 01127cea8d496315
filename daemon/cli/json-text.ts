/** JSON as a terminal can show it, too. */

export function jsonText(value: unknown): string {
  // JSON leaves some of the characters as they are that a terminal obeys.
  const escaped = (one: string): string => `\\u00${one.charCodeAt(0).toString(16)}`
  return `${JSON.stringify(value, undefined, 2).replace(/[\x7f-\x9f]/g, escaped)}\n`
}
