/** Whom a limit holds back: an account, or all that share it. */

import { asciiDomain, domainOf } from '../policy/mail-address.ts'
import type { VerdictRecord } from '../policy/verdict-record.ts'
import type { RuleWords } from './account-words.ts'

export interface Whom {
  /** As SendingLimit's `per`: user, domain, client, server, ... */
  readonly per: string
  /** An account, a domain, or an address; empty: it has no name, or none that is known here. */
  readonly name: string
}

/** In sentences: at their beginning, and after “mail of”. */
export interface WhomWords {
  readonly en: string
  readonly de: string
  readonly fr: string
  /** As in „Mail von“ and « du courrier ». */
  readonly of: { readonly de: string; readonly fr: string }
}

export function whomOf({ account, client }: VerdictRecord, per: string): Whom {
  if (per === 'user') return { per, name: account }
  if (per === 'domain') return { per, name: asciiDomain(domainOf(account)) }
  return { per, name: per === 'client' ? client : '' }
}

export function whomWords({ per, name }: Whom, rule: RuleWords | undefined): WhomWords {
  if (per === 'user') {
    return { en: name, de: name, fr: name, of: { de: `von ${name}`, fr: `de ${name}` } }
  }
  if (per === 'server') {
    const of = { de: 'von diesem Server', fr: 'de ce serveur' }
    return { en: 'this server', de: 'dieser Server', fr: 'ce serveur', of }
  }
  if (name !== '' && per === 'domain') {
    const of = { de: `von der Domain ${name}`, fr: `du domaine ${name}` }
    return { en: `the domain ${name}`, de: `die Domain ${name}`, fr: `le domaine ${name}`, of }
  }
  if (name !== '') {
    const of = { de: `von der Adresse ${name}`, fr: `de l’adresse ${name}` }
    return { en: `the address ${name}`, de: `die Adresse ${name}`, fr: `l’adresse ${name}`, of }
  }
  const limit = rule === undefined ? '' : ` "${rule.name}"`
  const groupe = `un groupe de comptes qui partagent la limite${limit}`
  return {
    en: `a group of accounts that share the limit${limit}`,
    de: `eine Gruppe von Konten mit dem gemeinsamen Limit${limit}`,
    fr: groupe,
    of: {
      de: `von einer Gruppe von Konten mit dem gemeinsamen Limit${limit}`,
      fr: `d’${groupe}`,
    },
  }
}
