/**
 * Services where users log in and the daemon is not queried: the nearest cause, and how to fix it.
 *
 * One finding per cause: an item that keeps smtpd from starting is not also reported as "not
 * asked".
 */

import type { Finding, Words } from '../../policy/finding.ts'
import { CLIENTS } from '../smtpd/client.ts'
import { decide } from '../smtpd/decision.ts'
import type { Obstacle, Query } from '../smtpd/message.ts'
import type { Network } from '../smtpd/network.ts'
import { formatServer } from '../smtpd/policy-item.ts'
import type { Missed, Protection } from '../smtpd/protection.ts'
import { reachOf, type Target } from '../smtpd/reach.ts'
import { END_OF_DATA } from '../smtpd/restriction-list.ts'
import { restrictionsOf } from '../smtpd/restrictions.ts'
import { canCount, stagesOf } from '../smtpd/stages.ts'
import { brokenFindings } from './broken-findings.ts'
import {
  itemFirst,
  LISTEN_EVERYWHERE,
  placeOf,
  REGISTER,
  serverOf,
  shown,
  whereOf,
  write,
} from './remedies.ts'
import { findingOf } from './service-finding.ts'

export function serviceFindings(
  protection: Protection,
  target: Target,
  network: Network,
): Finding[] {
  const { answer, service } = protection
  const broken = brokenFindings(protection, target)
  if (broken.length > 0) return broken
  const warned = protection.queries.filter(({ isWarned, reached }) => isWarned && reached !== 'no')
  if (warned.length > 0 && answer !== 'no logins') {
    return warned.map(query => warnIfReject(protection, query))
  }
  if (answer !== 'not asked' && answer !== 'perhaps') return stageWarnings(protection, target)

  const [missed] = protection.missed
  const inTheWay = [
    ...(missed ? [missedFinding(protection, missed, target)] : []),
    ...behindFindings(protection, target),
  ]
  if (inTheWay.length > 0) return inTheWay
  const early = protection.queries.find(({ state }) => !canCount(state)) ?? etrnQuery(protection)
  if (early) return [wrongStage(protection, early, target)]
  const override = overrideOf(protection, target, network)
  if (override) return [override]
  const [unsure] = answer === 'perhaps' ? protection.queries : []
  if (unsure?.list === HELO) return [onlyWithHello(protection, unsure, target)]
  if (unsure) return [perhapsAsked(protection, unsure, target)]
  const [lost] = mentionsOf(protection, target)
  const where = whereOf(lost?.setting ?? service.parameters.setting(END_OF_DATA))
  return [
    findingOf(protection, 'not-asked', 'error', where, {
      what: {
        en: 'users log in here, and no list queries the daemon about their mail',
        de: 'hier melden sich Benutzer an, und keine Liste fragt den Dienst zu ihrer Mail',
      },
      why: lost
        ? {
            en: `the item in this line belongs to ${lost.name}, which no list of this service uses`,
            de: `der Eintrag in dieser Zeile gehört zu ${lost.name}, das keine Liste dieses smtpd-Dienstes verwendet`,
          }
        : {
            en: 'whatever they send passes unchecked',
            de: 'ihre Mail geht ungeprüft durch',
          },
      remedy: itemFirst(protection, target),
    }),
  ]
}

/** Parameters of main.cf that contain our item and are used by no list. */
function mentionsOf({ instance, service }: Protection, { listeners }: Target) {
  const lists = stagesOf(service.parameters).map(({ list }) => list)
  const ports = listeners.flatMap(one => (one.kind === 'inet' ? [one.port] : []))
  return [...instance.settings].flatMap(([name, setting]) => {
    const isIt = ports.some(port =>
      new RegExp(`check_policy_service\\b[^,}]*:${port}(?!\\d)`).test(setting.value),
    )
    return isIt && !lists.includes(name) ? [{ name, setting }] : []
  })
}

function warnIfReject(protection: Protection, query: Query): Finding {
  const { list, setting } = query
  const { value } = setting
  const without = restrictionsOf(value).filter(word => word.toLowerCase() !== 'warn_if_reject')
  const isHere = without.length < restrictionsOf(value).length
  return findingOf(protection, 'warn-if-reject', 'error', whereOf(setting), {
    what: {
      en: `warn_if_reject precedes the daemon's item in ${list}`,
      de: `in ${list} steht warn_if_reject vor dem Eintrag für den Dienst`,
    },
    why: {
      en: 'what the daemon rejects is logged but accepted; to try limits without rejecting anything: mtpolicyctl set mtpolicyd/mode=observe',
      de: 'was der Dienst ablehnt, wird nur protokolliert und trotzdem angenommen; Limits ohne Ablehnung erproben: mtpolicyctl set mtpolicyd/mode=observe',
    },
    remedy: isHere
      ? write(protection.instance, { name: list, value: without.join(', '), setting })
      : {
          en: `remove warn_if_reject from the parameters that ${list} refers to, then: postfix reload`,
          de: `warn_if_reject aus den Parametern entfernen, auf die ${list} verweist, dann: postfix reload`,
        },
  })
}

/**
 * What precedes the item in each list: permits and tables in one finding, policy services in
 * another.
 */
function behindFindings(protection: Protection, target: Target): Finding[] {
  const { parameters } = protection.service
  const placeIn = ({ list, text }: Obstacle) => parameters.value(list).indexOf(text)
  const inOrder = distinct(protection.obstacles).toSorted((a, b) => placeIn(a) - placeIn(b))
  const groups = Map.groupBy(inOrder, ({ list, kind }) =>
    kind === 'policy' ? `${list} policy` : list,
  )
  return [...groups.values()].flatMap(group => behindFinding(protection, group, target))
}

function behindFinding(
  protection: Protection,
  obstacles: readonly Obstacle[],
  target: Target,
): Finding[] {
  const [first] = obstacles
  if (!first) return []
  const { list, setting, kind } = first
  const isPolicy = kind === 'policy'
  const isSure = obstacles.some(({ certainty }) => certainty === 'yes')
  const isOne = obstacles.length === 1
  const [en, de] = [quoted(obstacles, '"', '"', 'and'), quoted(obstacles, '„', '“', 'und')]
  const id = isPolicy ? 'earlier-policy-may-permit' : 'behind-permit'
  const texts = {
    what: isSure
      ? {
          en: `${en} in ${list} ${isOne ? 'ends' : 'end'} the list before the daemon is queried`,
          de: `${de} in ${list} ${isOne ? 'beendet' : 'beenden'} die Liste, bevor der Dienst gefragt wird`,
        }
      : {
          en: `${en} in ${list} may end the list before the daemon is queried`,
          de: `${de} in ${list} ${isOne ? 'kann' : 'können'} die Liste beenden, bevor der Dienst gefragt wird`,
        },
    why: whyItPermits(obstacles),
    remedy: itemFirst(protection, target),
  }
  return [findingOf(protection, id, isPolicy ? 'warning' : 'error', whereOf(setting), texts)]
}

function quoted(obstacles: readonly Obstacle[], open: string, close: string, and: string): string {
  const words = obstacles.map(({ text }) => `${open}${shown(text)}${close}`)
  const last = words.pop() ?? ''
  return words.length === 0 ? last : `${words.join(', ')} ${and} ${last}`
}

const FROM_THERE = /^(?:permit_mynetworks|permit_inet_interfaces)$/i

function whyItPermits(obstacles: readonly Obstacle[]): Words {
  const rest = obstacles.filter(({ text }) => !FROM_THERE.test(text))
  if (rest.length === 0) {
    return {
      en: 'mail of users who log in from these addresses, for example through webmail, passes unchecked',
      de: 'Mail von Benutzern, die sich von dort anmelden, etwa über Webmail, geht ungeprüft durch',
    }
  }
  if (rest.every(({ kind }) => kind === 'policy')) {
    return {
      en: 'mail for which that server answers OK passes unchecked',
      de: 'Mail, für die dieser Server OK antwortet, geht ungeprüft durch',
    }
  }
  if (rest.every(({ kind }) => kind === 'table')) {
    return {
      en: 'mail for which the table returns OK passes unchecked',
      de: 'Mail, für die die Tabelle OK liefert, geht ungeprüft durch',
    }
  }
  return {
    en: 'mail of users who log in passes unchecked',
    de: 'Mail angemeldeter Benutzer geht ungeprüft durch',
  }
}

function missedFinding(protection: Protection, { query, reach }: Missed, target: Target): Finding {
  const server = serverOf(protection, target)
  const from = formatServer(query.item.server)
  const isPatient = query.item.options.has('default_action')
  return findingOf(protection, reach.id, 'error', whereOf(placeOf(protection, query).setting), {
    what: {
      en: `smtpd cannot reach the daemon at ${from}: ${reach.why.en}`,
      de: `smtpd erreicht den Dienst unter ${from} nicht: ${reach.why.de}`,
    },
    why: isPatient
      ? {
          en: 'each message waits in vain, then passes unchecked',
          de: 'jede Nachricht wartet vergeblich und geht dann ungeprüft durch',
        }
      : {
          en: 'each message waits in vain, then is deferred (451)',
          de: 'jede Nachricht wartet vergeblich und wird dann vorübergehend abgelehnt (451)',
        },
    remedy:
      'why' in server
        ? LISTEN_EVERYWHERE
        : server.kind === 'unix' && reach.remedy
          ? reach.remedy
          : {
              en: `${REGISTER}, which writes ${formatServer(server)} there`,
              de: `${REGISTER}; der Befehl trägt dort ${formatServer(server)} ein`,
            },
  })
}

function wrongStage(protection: Protection, query: Query, target: Target): Finding {
  const { list, state } = query
  const { setting } = placeOf(protection, query)
  const isEtrn = list === ETRN
  return findingOf(protection, 'wrong-stage', 'error', whereOf(setting), {
    what: isEtrn
      ? {
          en: `the daemon's item is in ${list}, which is not evaluated for mail`,
          de: `der Eintrag für den Dienst steht in ${list}; diese Liste wird für Mail nicht ausgewertet`,
        }
      : {
          en: `${list} queries the daemon at ${state}, where there is nothing to count yet`,
          de: `${list} fragt den Dienst schon bei ${state}, wo es noch nichts zu zählen gibt`,
        },
    why: isEtrn
      ? {
          en: 'whatever users send passes unchecked',
          de: 'Mail von Benutzern geht ungeprüft durch',
        }
      : {
          en: 'recipients are not known at that stage (smtpd_delay_reject=no), and before MAIL neither is the user',
          de: 'zu diesem Zeitpunkt ist kein Empfänger bekannt (smtpd_delay_reject=no), vor MAIL auch kein Benutzer',
        },
    remedy: itemFirst(protection, target),
  })
}

const EARLY_LISTS = /^smtpd_(?:client|helo|sender)_restrictions$/

/** The daemon is queried and counts correctly, but from a list that is meant for something else. */
function stageWarnings(protection: Protection, target: Target): Finding[] {
  if (protection.answer !== 'asked' || protection.isAskedAtEnd) return []
  const asking = protection.queries.filter(({ reached }) => reached === 'yes')
  const [first] = asking
  if (!first || !asking.every(({ list }) => EARLY_LISTS.test(list))) return []
  const { list } = first
  const { setting } = placeOf(protection, first)
  return [
    findingOf(protection, 'wrong-stage', 'warning', whereOf(setting), {
      what: {
        en: `${list} queries the daemon once for each recipient`,
        de: `${list} fragt den Dienst für jeden Empfänger einzeln`,
      },
      why: {
        en: 'messages that are rejected or aborted later are counted as well',
        de: 'auch später abgelehnte oder abgebrochene Nachrichten werden mitgezählt',
      },
      remedy: itemFirst(protection, target),
    }),
  ]
}

const ETRN = 'smtpd_etrn_restrictions'

/** An item in the list for ETRN, which is not evaluated for mail. */
function etrnQuery({ service, queries }: Protection): Query | undefined {
  const value = service.parameters.value(ETRN)
  if (queries.length > 0 || !/check_policy_service/i.test(value)) return undefined
  const setting = service.parameters.setting(ETRN)
  const item = { server: { kind: 'unix', path: '' } as const, options: new Map<string, string>() }
  return {
    list: ETRN,
    state: 'CONNECT',
    setting,
    text: value,
    item,
    reached: 'no',
    obstacles: [],
    isWarned: false,
    byClass: undefined,
  }
}

/** Clients that send no EHLO skip this list. */
const HELO = 'smtpd_helo_restrictions'

/** AUTH works without EHLO or HELO, and then this list is not evaluated. */
function onlyWithHello(protection: Protection, { setting }: Query, target: Target): Finding {
  return findingOf(protection, 'wrong-stage', 'warning', whereOf(setting), {
    what: {
      en: `${HELO} queries the daemon only about clients that send EHLO`,
      de: `${HELO} fragt den Dienst nur zu Clients, die EHLO senden`,
    },
    why: {
      en: 'a thief can log in and send without EHLO, and that mail passes unchecked',
      de: 'ein Dieb kann sich auch ohne EHLO anmelden und senden; diese Mail geht ungeprüft durch',
    },
    remedy: itemFirst(protection, target),
  })
}

function perhapsAsked(protection: Protection, query: Query, target: Target): Finding {
  const { list, setting, byClass } = query
  const isByLoad = protection.service.parameters.dependsOn(list, 'stress')
  return findingOf(protection, 'not-asked', 'error', whereOf(setting), {
    what: {
      en: `${list} queries the daemon only about some of the users' mail`,
      de: `${list} fragt den Dienst nur zu einem Teil der Benutzermail`,
    },
    why: isByLoad
      ? {
          en: 'the list depends on $stress: it is a different one while the server is busy',
          de: 'die Liste hängt von $stress ab: unter Last gilt eine andere',
        }
      : {
          en: `a table decides whether ${byClass ?? 'the item'} applies`,
          de: `eine Tabelle entscheidet, ob ${byClass ?? 'der Eintrag'} gilt`,
        },
    remedy: itemFirst(protection, target),
  })
}

/** The service's own list replaces one in main.cf that queries the daemon. */
function overrideOf(protection: Protection, target: Target, network: Network): Finding | undefined {
  const { instance, service } = protection
  const { parameters } = service
  const own = (list: string) => parameters.setting(list).origin === 'master.cf'
  const inMainCf = Object.fromEntries(
    stagesOf(parameters)
      .filter(({ list }) => own(list))
      .map(({ list }) => [list, instance.parameters.setting(list).value]),
  )
  const decision = decide(
    {
      parameters: parameters.with(inMainCf),
      version: instance.version,
      isOurs: item => reachOf(item, target, { instance, service, network }).kind === 'ours',
    },
    CLIENTS.authenticated,
  )
  const hidden = decision.queries.find(({ list, reached }) => own(list) && reached !== 'no')
  if (!hidden) return undefined
  const { list } = hidden
  const setting = parameters.setting(list)
  const isEmpty = parameters.value(list) === ''
  return findingOf(protection, 'service-override', 'error', whereOf(setting), {
    what: {
      en: `-o ${list}=${isEmpty ? ' (empty)' : '…'} replaces the list in main.cf that queries the daemon`,
      de: `-o ${list}=${isEmpty ? ' (leer)' : '…'} ersetzt die Liste in main.cf, die den Dienst fragt`,
    },
    why: {
      en: 'users log in here, and their mail passes unchecked',
      de: 'hier melden sich Benutzer an, und ihre Mail geht ungeprüft durch',
    },
    remedy: itemFirst(protection, target),
  })
}

function distinct(obstacles: readonly Obstacle[]): Obstacle[] {
  const seen = new Map<string, Obstacle>()
  for (const obstacle of obstacles) {
    const key = `${obstacle.list} ${obstacle.text}`
    if (seen.get(key)?.certainty !== 'yes') seen.set(key, obstacle)
  }
  return [...seen.values()]
}
