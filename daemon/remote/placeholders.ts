/**
 * Turns the `?` of a query into PostgreSQL's $1, $2 ...
 *
 * A `?` in a string, a quoted name or a comment stays, and so does `\?`, without its backslash: that is
 * how Perl's driver writes PostgreSQL's operators with a question mark. A statement that uses $1 itself
 * is left as it is. (PostgreSQL, SQL Syntax, 4.1 Lexical Structure)
 */

const PIECES = new RegExp(
  [
    // E'it\'s', before the plain string, where a backslash is an ordinary character.
    String.raw`\b[eE]'(?:[^'\\]|\\.|'')*'`,
    "'(?:[^']|'')*'",
    '"(?:[^"]|"")*"',
    '--[^\n]*',
    // $tag$ ... $tag$; $1 does not begin one.
    String.raw`\$(?<tag>(?:[A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*)?)\$.*?\$\k<tag>\$`,
    String.raw`/\*`,
    String.raw`\\?\?`,
  ].join('|'),
  'gs',
)

export function numberPlaceholders(sql: string): string {
  let number = 0
  let numbered = ''
  let rest = 0
  PIECES.lastIndex = 0
  for (let found = PIECES.exec(sql); found; found = PIECES.exec(sql)) {
    const [piece] = found
    if (piece === '/*') PIECES.lastIndex = endOfComment(sql, found.index)
    if (piece !== '?' && piece !== '\\?') continue
    numbered += sql.slice(rest, found.index) + (piece === '?' ? `$${++number}` : '?')
    rest = PIECES.lastIndex
  }
  return numbered + sql.slice(rest)
}

/** Comments nest. */
function endOfComment(sql: string, start: number): number {
  let depth = 0
  for (const { 0: mark, index } of sql.slice(start).matchAll(/\/\*|\*\//g)) {
    depth += mark === '/*' ? 1 : -1
    if (depth === 0) return start + index + mark.length
  }
  return sql.length
}
