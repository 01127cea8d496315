/**
 * The text of a file that a person wrote, on whatever system: without the byte order mark that some
 * editors put at the beginning, and with line feeds where they write CR LF, or CR CR LF after having
 * converted a file twice.
 */
export function plainText(text: string): string {
  const bare = text.startsWith('\uFEFF') ? text.slice(1) : text
  if (!bare.includes('\r\n')) return bare
  const lines = bare.split('\n')
  const last = lines.pop() ?? ''
  return [...lines.map(withoutCarriageReturns), last].join('\n')
}

/** In one pass: a regular expression would take the square of a line of carriage returns. */
function withoutCarriageReturns(line: string): string {
  let end = line.length
  while (end > 0 && line[end - 1] === '\r') end--
  return end === line.length ? line : line.slice(0, end)
}
