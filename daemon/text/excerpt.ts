/**
 * An excerpt of a configuration's text, short and printable enough for a message.
 *
 * A file may contain a name of a megabyte and a hundred thousand mistakes that mention it. It may
 * also contain passwords, and messages end up in logs and bug reports: what follows such a word is
 * left out.
 */

/** A secret in an option, in a data source name, or in a URL with a login. */
const SECRET = /\b(?:\w*pass(?:word|wd|phrase)?|secret|key|dsn)\b["']?[\s=:]\s*|:\/\/(?=[^/\s]*@)/i

export function excerpt(text: string, longest = 60): string {
  const secretAt = secretIn(text)
  const shown = secretAt < 0 ? text : `${text.slice(0, secretAt)}***`
  const short = shown.length > longest ? `${shown.slice(0, longest - 3)}...` : shown
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not reach a terminal
  return short.replace(/[\0-\x1f\x7f]/g, '\uFFFD')
}

/** The rest of a line from an offset on, unless what precedes it makes it a secret. */
export function excerptFrom(line: string, start: number): string {
  const secretAt = secretIn(line)
  return secretAt >= 0 && secretAt <= start ? '***' : excerpt(line.slice(start))
}

/** The offset of the secret, or -1. */
function secretIn(text: string): number {
  const found = SECRET.exec(text)
  return found ? found.index + found[0].length : -1
}
