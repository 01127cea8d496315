/**
 * A piece of what was written, short and printable enough to stand in a message.
 *
 * A file may hold a name of a megabyte and a hundred thousand mistakes that mention it.
 */

export function excerpt(text: string, longest = 60): string {
  const short = text.length > longest ? `${text.slice(0, longest - 3)}...` : text
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not reach a terminal
  return short.replace(/[\0-\x1f\x7f]/g, '\uFFFD')
}
