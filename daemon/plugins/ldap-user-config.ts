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
 * Every `%s` of `filter` becomes what the request has as `filter_field`, with all that has a
 * meaning in a filter escaped (RFC 4515). If exactly one entry fits, the first value of each
 * attribute in `config_fields` becomes a value of the mail under that name, for the uc_ options of
 * later plugins; an attribute without a value leaves the mail as it is. No such user, more than
 * one, and a search that the directory refuses are noted at the plugin's log level, nothing else.
 * A directory that cannot be reached, or does not let us in, is a failure of the plugin. Names that
 * begin with "_" are the daemon's own and passed over with a warning at start; mtpolicyd let a
 * user's configuration replace them.
 *
 * The connection is encrypted with StartTLS unless `starttls = 0`, and the certificate is checked
 * against the system's authorities; so it is with a `host` of "ldaps://HOST". "ldapi://" is the
 * server's socket on the same host. Whatever `timeout` says, a search ends after 3 seconds, because
 * a request may not take longer than 4, and a directory that did not answer is not asked for the
 * next 3. mtpolicyd waited 120 seconds, longer than Postfix does.
 */

import type { DirectoryEntry } from '../policy/directory.ts'
import { definePlugin } from '../policy/plugin.ts'
import { list, text } from '../policy/setting.ts'

export const ldapUserConfig = definePlugin({
  name: 'LdapUserConfig',
  summary: 'Read values of a user from an LDAP directory.',
  settings: {
    basedn: text({ doc: 'Where the search begins.', fallback: '' }),
    filter: text({ doc: 'Which entry is meant; `%s` is the value that is looked for.' }),
    filter_field: text({ doc: 'Attribute that names the user.', fallback: 'sasl_username' }),
    config_fields: list({ doc: 'LDAP attributes that are read.' }),
    ldap: text({ doc: 'Name of the Ldap connection.', fallback: 'ldap' }),
  },
  create({ basedn, filter, filter_field, config_fields, ldap }, surroundings) {
    const { directory, note, refuse, warn } = surroundings
    const connection = directory(ldap)
    if (!connection) {
      refuse(`there is no <Connection ${ldap}>`, 'ldap')
      return () => undefined
    }
    if (!filter.includes('%s')) warn('without %s it finds the same for everybody', 'filter')
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
      const question = filter.replaceAll('%s', () => escapeFilterValue(value))
      // Two are enough to know that it is not one.
      const found = await connection.search(basedn, question, names, 2)
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

function problemOf(found: readonly DirectoryEntry[] | undefined): string {
  if (!found) return 'the directory refused the search (basedn, filter, rights)'
  return found.length === 0 ? 'no entry for this user' : 'more than one entry for this user'
}

/** RFC 4515, 3: what would end or widen an assertion value is written in hexadecimal. */
function escapeFilterValue(value: string): string {
  return value.replace(/[*()\\\0]/g, character => {
    return `\\${character.charCodeAt(0).toString(16).padStart(2, '0')}`
  })
}
