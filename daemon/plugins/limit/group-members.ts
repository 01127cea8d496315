/** Who is in a group: names in a list, or the keys of a Postfix table. */

import { domainInLetters } from '../../net/ascii-domain.ts'
import { accountName } from '../../policy/account.ts'
import { asciiDomain, domainOf } from '../../policy/mail-address.ts'
import type { Table } from '../../policy/ports/table.ts'
import { custom } from '../../policy/setting.ts'
import { type MaybePromise, whenReady } from '../../system/maybe-promise.ts'
import { accountDomains } from './subject.ts'

export interface Members {
  /** `account`: folded. Throws or rejects with LookupError if the table cannot be read. */
  has(account: string): MaybePromise<boolean>
  /** Why the table cannot be read just now. */
  problem(): string | undefined
}

export const members = custom<string>(
  'names separated by commas, or a table such as hash:/etc/postfix/newsletter',
  text => (/[^\s,]/.test(text) ? text : undefined),
  { doc: 'Login names and @domains, or a table of Postfix that has them as keys.' },
)

const TABLE = /^(?:[a-z][a-z0-9_-]*:\S|\/)/

export function membersOf(
  text: string,
  defaultDomain: string,
  openTable: (name: string) => Table,
): Members {
  return TABLE.test(text)
    ? inTable(openTable(text), defaultDomain)
    : inList(
        text.split(',').map(name => name.trim()),
        defaultDomain,
      )
}

function inList(names: readonly string[], defaultDomain: string): Members {
  const domains = new Set(
    names.filter(name => name.startsWith('@')).map(name => asciiDomain(name.slice(1))),
  )
  const accounts = new Set(
    names.filter(name => /^[^@]/.test(name)).map(name => accountName(name, defaultDomain)),
  )
  const domainOfAccount = accountDomains(defaultDomain)
  return {
    has: account =>
      accounts.has(account) || (domains.size > 0 && domains.has(domainOfAccount(account))),
    problem: () => undefined,
  }
}

function inTable(table: Table, defaultDomain: string): Members {
  const domainOfAccount = accountDomains(defaultDomain)
  return {
    has: account => hasOne(table, keysOf(account, domainOfAccount(account)), 0),
    problem: () => table.problem(),
  }
}

/** The account, also with the default domain, and @domain; each also in the letters of the domain. */
function keysOf(account: string, domain: string): string[] {
  if (domain === '') return [account]
  const full = account.includes('@') ? [] : [`${account}@${domain}`]
  const keys = [account, ...full, `@${domain}`]
  return domain.includes('xn--') ? keys.flatMap(key => [key, inLetters(key)]) : keys
}

function inLetters(key: string): string {
  const domain = domainOf(key)
  return key.slice(0, key.length - domain.length) + (domainInLetters(domain) ?? domain)
}

function hasOne(table: Table, keys: readonly string[], from: number): MaybePromise<boolean> {
  const key = keys[from]
  if (key === undefined) return false
  return whenReady(table.get(key), value => value !== undefined || hasOne(table, keys, from + 1))
}
