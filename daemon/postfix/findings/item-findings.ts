/**
 * The options of an item that queries the daemon: what happens while the daemon does not answer.
 */

import type { Finding, Words } from '../../policy/finding.ts'
import type { Query } from '../smtpd/message.ts'
import type { Parameters, Setting } from '../smtpd/parameters.ts'
import { formatServer, seconds } from '../smtpd/policy-item.ts'
import type { Protection } from '../smtpd/protection.ts'
import { argumentOf, placeOf, whereOf, write } from './remedies.ts'
import { findingOf } from './service-finding.ts'

/** Mail programs give up after this time, so Postfix must not wait longer. */
const MOST_SECONDS = 30

export function itemFindings(protection: Protection): Finding[] {
  const { parameters } = protection.service
  return protection.queries
    .filter(({ reached }) => reached !== 'no')
    .flatMap(query => [
      ...noDefaultAction(protection, query, parameters),
      ...timeoutTooLong(protection, query, parameters),
    ])
}

function optionOf({ item }: Query, parameters: Parameters, name: string): string {
  return item.options.get(name) ?? parameters.value(`smtpd_policy_service_${name}`)
}

function noDefaultAction(protection: Protection, query: Query, parameters: Parameters): Finding[] {
  const isChosen =
    query.item.options.has('default_action') ||
    parameters.setting('smtpd_policy_service_default_action').origin !== 'default'
  if (isChosen) return []
  const where = whereOf(placeOf(protection, query).setting)
  return [
    findingOf(protection, 'no-default-action', 'warning', where, {
      what: {
        en: 'the item that queries the daemon has no default_action',
        de: 'im Eintrag für den Dienst fehlt default_action',
      },
      why: {
        en: 'while the daemon does not answer, all mail is deferred (451)',
        de: 'solange der Dienst nicht antwortet, wird jede Mail vorübergehend abgelehnt (451)',
      },
      remedy: improved(protection, query),
    }),
  ]
}

function timeoutTooLong(protection: Protection, query: Query, parameters: Parameters): Finding[] {
  const timeout = seconds(optionOf(query, parameters, 'timeout'))
  const tries = Math.max(1, Number(optionOf(query, parameters, 'try_limit')))
  const pause = seconds(optionOf(query, parameters, 'retry_delay'))
  const pauses = (tries - 1) * pause
  const all = tries * timeout + pauses
  if (!(all > MOST_SECONDS)) return []
  const isStopped = pauses > MOST_SECONDS
  const where = ownSetting(query, parameters) ?? placeOf(protection, query).setting
  return [
    findingOf(protection, 'timeout-too-long', 'warning', whereOf(where), {
      what: isStopped
        ? {
            en: `while the daemon is stopped, each message waits ${pauses} s; if it hangs, ${all} s`,
            de: `läuft der Dienst nicht, wartet jede Nachricht ${pauses} s; hängt er, ${all} s`,
          }
        : {
            en: `if the daemon hangs, each message waits ${all} s: ${tries} tries of ${timeout} s each, ${pause} s apart`,
            de: `hängt der Dienst, wartet jede Nachricht ${all} s: ${tries} Versuche zu je ${timeout} s im Abstand von ${pause} s`,
          },
      why: {
        en: `mail programs give up after about ${MOST_SECONDS} s`,
        de: `Mailprogramme geben nach etwa ${MOST_SECONDS} s auf`,
      },
      remedy: improved(protection, query),
    }),
  ]
}

/** The setting for all policy services, if an administrator has set one. */
function ownSetting({ item }: Query, parameters: Parameters): Setting | undefined {
  return ['timeout', 'retry_delay', 'try_limit']
    .filter(option => !item.options.has(option))
    .map(option => parameters.setting(`smtpd_policy_service_${option}`))
    .find(({ origin }) => origin !== 'default')
}

/** The item as it should be: what is there stays, what is missing is added. */
function improved(protection: Protection, query: Query): Words {
  const { text, item } = query
  const options = new Map(item.options)
  if (!options.has('default_action')) options.set('default_action', 'DUNNO')
  options.set('timeout', '5s')
  if (seconds(optionOf(query, protection.service.parameters, 'retry_delay')) > 1) {
    options.set('retry_delay', '1s')
  }
  if (Number(optionOf(query, protection.service.parameters, 'try_limit')) > 2) {
    options.set('try_limit', '2')
  }
  const parts = [...options].map(([name, value]) =>
    /\s/.test(value) ? `{ ${name} = ${value} }` : `${name}=${value}`,
  )
  const better = `{ ${[formatServer(item.server), ...parts].join(', ')} }`
  const { name, setting } = placeOf(protection, query)
  const argument = argumentOf(text)
  if (!setting.value.includes(argument)) {
    return {
      en: `change the item to check_policy_service ${better}`,
      de: `den Eintrag ändern in: check_policy_service ${better}`,
    }
  }
  const separated = setting.value.replaceAll(
    `check_policy_service,${argument}`,
    `check_policy_service ${argument}`,
  )
  const value = separated.replaceAll(argument, () => better)
  return write(protection.instance, { name, value, setting })
}
