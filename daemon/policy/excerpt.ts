/**
 * A piece of what was written, short and printable enough to stand in a message.
 *
 * A file may hold a name of a megabyte and a hundred thousand mistakes that mention it. It may also
 * hold passwords, and messages go into logs and bug reports: what follows such a word is left out.
 */

/** Of an option, of a data source name, of a URL with a login. */
const SECRET = /\b(?:\w*pass(?:word|wd|phrase)?|secret|key|dsn)\b["']?[\s=:]\s*|:\/\/(?=[^/\s]*@)/i

export function excerpt(text: string, longest = 60): string {
  const secretAt = secretIn(text)
  const shown = secretAt < 0 ? text : `${text.slice(0, secretAt)}***`
  const short = shown.length > longest ? `${shown.slice(0, longest - 3)}...` : shown
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not reach a terminal
  return short.replace(/[\0-\x1f\x7f]/g, '\uFFFD')
}

/** The rest of a line from an offset on, where what stands before it does not make it a secret. */
export function excerptFrom(line: string, start: number): string {
  const secretAt = secretIn(line)
  return secretAt >= 0 && secretAt <= start ? '***' : excerpt(line.slice(start))
}

/** Where it begins, or -1. */
function secretIn(text: string): number {
  const found = SECRET.exec(text)
  return found ? found.index + found[0].length : -1
}
