/** A query of the operator's that is run with one value, bound to its `?`. */

import type { Surroundings } from '../../policy/plugin.ts'

/** What cannot hold a placeholder: texts, quoted names, comments, and PostgreSQL's `\?`. */
const NOT_BOUND =
  /'(?:[^'\\]|\\.|'')*'|"(?:[^"\\]|\\.|"")*"|`[^`]*`|--[^\n]*|\/\*.*?\*\/|\$(\w*)\$.*?\$\1\$|\\\?/gs

/**
 * Reports a query that has no place for the value. PostgreSQL's own `$1` is one. With several a
 * driver refuses the query, but what counts as one is up to the database, so that is a warning.
 */
export function checkQuery(query: string, { fail, warn }: Surroundings): void {
  const bare = query.replace(NOT_BOUND, ' ')
  const count = bare.split('?').length - 1
  if (count === 0 && !bare.includes('$1')) fail('the query has no `?` for the value', 'sql_query')
  else if (count > 1) warn(`the query has ${count} \`?\`, but only one value`, 'sql_query')
}
