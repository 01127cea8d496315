/** A search filter as the LDAP library takes it: its own parser accepts no spaces, options or numbers. */

import type { Filter } from 'ldapts'
import type { Comparison, LdapFilter, Octets } from '../text/ldap-filter.ts'

/** The library's classes, which are loaded when a directory is first searched. */
type Library = typeof import('ldapts')

export function libraryFilter(filter: LdapFilter, library: Library): Filter {
  const parts = (of: readonly LdapFilter[]): Filter[] => of.map(one => libraryFilter(one, library))
  switch (filter.kind) {
    case 'and':
      return new library.AndFilter({ filters: parts(filter.of) })
    case 'or':
      return new library.OrFilter({ filters: parts(filter.of) })
    case 'not':
      return new library.NotFilter({ filter: libraryFilter(filter.of, library) })
    case 'present':
      return new library.PresenceFilter({ attribute: filter.attribute })
    case 'substring': {
      const [initial = '', ...others] = filter.parts.map(text)
      const final = others.pop() ?? ''
      return new library.SubstringFilter({
        attribute: filter.attribute,
        initial,
        // Two asterisks in a row leave nothing between them (RFC 4511, 4.5.1.7.2).
        any: others.filter(part => part !== ''),
        final,
      })
    }
    case 'extensible':
      return new library.ExtensibleFilter({
        matchType: filter.attribute,
        dnAttributes: filter.includesDn,
        ...(filter.rule === undefined ? {} : { rule: filter.rule }),
        value: text(filter.value),
      })
    default:
      return comparison(filter.kind, filter.attribute, filter.value, library)
  }
}

function comparison(kind: Comparison, attribute: string, value: Octets, library: Library): Filter {
  switch (kind) {
    case 'equal':
      return new library.EqualityFilter({ attribute, value: Buffer.from(value) })
    case 'greater':
      return new library.GreaterThanEqualsFilter({ attribute, value: text(value) })
    case 'less':
      return new library.LessThanEqualsFilter({ attribute, value: text(value) })
    case 'approximate':
      return new library.ApproximateFilter({ attribute, value: text(value) })
  }
}

/** Everywhere but in a comparison for equality the library takes text alone. */
function text(octets: Octets): string {
  return Buffer.from(octets).toString('utf8')
}
