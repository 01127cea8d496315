/**
 * LdapUserConfig - read values of a user from an LDAP directory.
 *
 *   <Connection ldap>
 *     module   = "Ldap"
 *     host     = "ldap.example.org"
 *     binddn   = "cn=reader,dc=example,dc=org"
 *     password = "secret"
 *   </Connection>
 *
 *   <Plugin user-config>
 *     module        = "LdapUserConfig"
 *     basedn        = "ou=users,dc=example,dc=org"
 *     filter        = "(mail=%s)"
 *     filter_field  = "sasl_username"
 *     config_fields = "mailMessageLimit, mailSendExternal"
 *   </Plugin>
 *
 * Every `%s` in `filter` is replaced with the request's `filter_field`, escaped as RFC 4515 requires.
 * If exactly one entry matches, the first value of each attribute in `config_fields` becomes a value
 * of the mail under that name, for the uc_ options of later plugins. Attributes without a value change
 * nothing. No such user, several matching entries, or a search that the directory refuses are logged
 * at the plugin's log level and otherwise ignored. If the directory cannot be reached or denies
 * access, the plugin has failed. Names that begin with "_" are reserved and skipped, with a warning at
 * start.
 *
 * A filter may have white space and line ends between its parts. Attributes may have options
 * (`cn;lang-de`) or be written as object identifiers. A filter that cannot be parsed is reported when the
 * configuration is loaded, and the plugin fails. Addresses and login names are searched for as sent, then
 * in the spellings described at SqlList.
 *
 * The connection is encrypted with StartTLS unless `starttls = 0`, and the certificate is checked
 * against the system's authorities, as it is with "ldaps://HOST" as `host`. "ldapi://" is the server's
 * socket on the same host. Whatever `timeout` says, a search ends after 3 seconds, because a request
 * may take no longer than 4. A directory that did not respond is not queried for the next 3 seconds.
 *
 * Differences from mtpolicyd
 *
 * - mtpolicyd waited 120 seconds for a directory, longer than Postfix does.
 * - A user's configuration could replace values whose names begin with "_".
 * - A filter that could not be read was not reported.
 */

import { definePlugin } from '../policy/plugin.ts'
import type { DirectoryEntry } from '../policy/ports/directory.ts'
import { list, naming, text } from '../policy/setting.ts'
import { spellings } from '../policy/spelling.ts'
import { LookupError } from '../system/errors.ts'
import { escapeLdapValue, LdapFilterError, readLdapFilter } from '../text/ldap-filter.ts'
import { firstAnswer } from './parts/first-spelling.ts'

export const ldapUserConfig = definePlugin({
  name: 'LdapUserConfig',
  summary: 'Read values of a user from an LDAP directory.',
  settings: {
    basedn: text({ doc: 'Base DN of the search.', fallback: '' }),
    filter: text({ doc: 'Search filter for the user; `%s` is replaced with the value.' }),
    filter_field: naming(
      { kind: 'attribute' },
      text({ doc: 'Attribute that names the user.', fallback: 'sasl_username' }),
    ),
    config_fields: naming({ kind: 'key' }, list({ doc: 'LDAP attributes to read.' })),
    ldap: text({ doc: 'Name of the Ldap connection.', fallback: 'ldap' }),
  },
  create({ basedn, filter, filter_field, config_fields, ldap }, surroundings) {
    const { directory, note, fail, refuse, warn } = surroundings
    const connection = directory(ldap)
    if (!connection) {
      refuse(`there is no <Connection ${ldap}>`, 'ldap')
      return () => undefined
    }
    if (!filter.includes('%s')) warn('without %s the result is the same for everybody', 'filter')
    const mistake = mistakeIn(filled(filter, 'x'))
    if (mistake !== undefined) fail(mistake, 'filter')
    const names = config_fields.filter(name => !name.startsWith('_'))
    if (names.length < config_fields.length) {
      warn('names that begin with "_" are reserved and not read', 'config_fields')
    }

    return async (request, { session }) => {
      const value = request.text(filter_field)
      if (value === '') {
        note(() => `no ${filter_field} in the request`)
        return undefined
      }
      if (mistake !== undefined) throw new LookupError(`filter: ${mistake}`)
      const found = await firstAnswer(
        spellings(filter_field, value),
        // Two entries are enough to know that the match is not unique.
        one => connection.search(basedn, filled(filter, one), names, 2),
        entries => entries !== undefined && entries.length > 0,
      )
      const entry = found?.[0]
      if (!found || !entry || found.length > 1) {
        note(() => problemOf(found))
        return undefined
      }
      for (const name of names) {
        const first = entry[name.toLowerCase()]?.[0]
        if (first !== undefined && first !== '') session.set(name, first)
      }
      return undefined
    }
  },
})

function filled(filter: string, value: string): string {
  return filter.replaceAll('%s', () => escapeLdapValue(value))
}

function mistakeIn(filter: string): string | undefined {
  try {
    readLdapFilter(filter)
    return undefined
  } catch (error) {
    if (error instanceof LdapFilterError) return error.message
    throw error
  }
}

function problemOf(found: readonly DirectoryEntry[] | undefined): string {
  if (!found) return 'the directory refused the search (basedn, filter, rights)'
  return found.length === 0 ? 'no entry for this user' : 'more than one entry for this user'
}
