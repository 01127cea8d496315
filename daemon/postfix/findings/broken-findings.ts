/**
 * Items and lists written in such a way that smtpd exits, or answers 451 to all mail; with the line
 * as it was probably meant, where that can be told.
 */

import type { Finding, Words } from '../../policy/finding.ts'
import { CLIENTS } from '../smtpd/client.ts'
import { decide } from '../smtpd/decision.ts'
import type { FatalMistake } from '../smtpd/fatal-mistakes.ts'
import { logicalLines } from '../smtpd/logical-lines.ts'
import type { Obstacle } from '../smtpd/message.ts'
import { inBothLanguages } from '../smtpd/mistakes.ts'
import { withOnly } from '../smtpd/obstacles.ts'
import type { Setting } from '../smtpd/parameters.ts'
import { readPolicyItem } from '../smtpd/policy-item.ts'
import type { Protection } from '../smtpd/protection.ts'
import type { Target } from '../smtpd/reach.ts'
import { END_OF_DATA } from '../smtpd/restriction-list.ts'
import { restrictionsOf } from '../smtpd/restrictions.ts'
import { argumentOf, itemFor, shown, whereOf, write } from './remedies.ts'
import { findingOf } from './service-finding.ts'

export function brokenFindings(protection: Protection, target: Target): Finding[] {
  const { mistake } = protection.service
  if (mistake) return [fatal(protection, mistake, target)]
  const words = protection.decisions.flatMap(({ refusals }) => refusals)
  const bad = words.filter(({ kind }) => kind === 'unknown word')
  const once = new Map(bad.map(one => [`${one.list} ${one.text}`, one]))
  return [...once.values()].map(one => unknownWord(protection, one, target))
}

function fatal(protection: Protection, mistake: FatalMistake, target: Target): Finding {
  const { instance, service } = protection
  const stray = mistake.setting ? undefined : strayOption(protection, mistake.text)
  const line = stray?.line ?? service.master.line
  const where = mistake.setting ? whereOf(mistake.setting) : `${instance.masterCf.file}:${line}`
  const parameter = mistake.parameter ?? ''
  const meant = mistake.setting && asMeant(protection, parameter, mistake.setting, target)
  const { en, de } = stray
    ? BLANKS
    : inBothLanguages(mistake.text.replace(/^check_policy_service .*?: /s, ''))
  return findingOf(protection, 'broken-item', 'error', where, {
    what: {
      en: `this line makes smtpd exit: ${en}`,
      de: `wegen dieser Zeile beendet sich smtpd: ${de}`,
    },
    why: {
      en: 'nobody can send mail here: master restarts smtpd once a minute, and it exits again',
      de: 'hier kann niemand senden: master startet smtpd jede Minute neu, und smtpd beendet sich wieder',
    },
    remedy: meant
      ? write(instance, { name: parameter, value: meant, setting: mistake.setting })
      : stray
        ? inPlaceOf(where, `  -o { ${stray.name} = ${stray.value} }`)
        : {
            en: `correct ${parameter || 'the options'}, then: postfix check; postfix reload`,
            de: `${parameter || 'die Optionen'} berichtigen, dann: postfix check; postfix reload`,
          },
  })
}

const BLANKS: Words = {
  en: 'a value that contains spaces needs braces',
  de: 'ein Wert mit Leerzeichen muss in geschweiften Klammern stehen',
}

function inPlaceOf(where: string, line: string): Words {
  return { en: `replace ${where} with:\n${line}`, de: `${where} ersetzen durch:\n${line}` }
}

interface StrayOption {
  readonly line: number
  readonly name: string
  readonly value: string
}

/** The `-o NAME=VALUE` whose value contains a word that smtpd took for its next argument. */
function strayOption({ instance, service }: Protection, mistake: string): StrayOption | undefined {
  const word = /^smtpd does not understand the word "(.*)"$/s.exec(mistake)?.[1]
  const lines = instance.masterCf.text.split('\n')
  if (word === undefined) return undefined
  for (let at = service.master.line; at <= lines.length; at++) {
    const text = lines[at - 1] ?? ''
    if (at > service.master.line && /^[^\s#]/.test(text)) return undefined
    if (text.trimStart().startsWith('#')) continue
    for (const [, name = '', value = ''] of text.matchAll(
      /\s-o\s*([A-Za-z]\w*)\s*=\s*(.*?)(?=\s+-o|\s*$)/g,
    )) {
      if (`${name} = ${value}`.includes(word))
        return { line: at, name, value: withoutBraces(value) }
    }
  }
  return undefined
}

/** `-o name={ a b }`: braces around the value alone have no effect. */
function withoutBraces(value: string): string {
  const inner = /^\{(.*)\}$/s.exec(value)?.[1]
  return inner === undefined || inner.includes('{') ? value : inner.trim()
}

function unknownWord(
  protection: Protection,
  { text, list, setting }: Obstacle,
  target: Target,
): Finding {
  const meant = asMeant(protection, list, setting, target)
  const isCut = text.toLowerCase() === 'check_policy_service'
  return findingOf(protection, 'broken-item', 'error', whereOf(setting), {
    what: {
      en: `"${shown(text)}" in ${list} ${isCut ? 'has no server address' : 'is not a restriction'}: Postfix answers 451 to all mail`,
      de: `„${shown(text)}“ in ${list} ${isCut ? 'hat keine Serveradresse' : 'ist keine Restriktion'}: Postfix antwortet auf jede Mail mit 451`,
    },
    why: hint(protection, text),
    remedy:
      meant === undefined
        ? {
            en: `remove "${shown(text)}" from ${list}, then: postfix reload`,
            de: `„${shown(text)}“ aus ${list} entfernen, dann: postfix reload`,
          }
        : write(protection.instance, { name: list, value: meant, setting }),
  })
}

function hint({ service, decisions }: Protection, text: string): Words {
  if (text.startsWith('#')) {
    return {
      en: 'a comment needs its own line; after a value it becomes part of the value',
      de: 'ein Kommentar muss in einer eigenen Zeile stehen; hinter einem Wert gehört er zum Wert',
    }
  }
  if (OPTION.test(text)) {
    return {
      en: 'the options of a policy service belong inside the braces, together with its address',
      de: 'die Optionen eines Policy-Dienstes gehören zusammen mit seiner Adresse in geschweifte Klammern',
    }
  }
  if (/["'\u201c\u201d\u201e]/.test(text)) {
    return {
      en: 'Postfix does not support quotes: they become part of the word',
      de: 'Anführungszeichen haben in Postfix keine Bedeutung: sie gehören zum Wort',
    }
  }
  if (/[^\x20-\x7e]/.test(text)) {
    return {
      en: 'it contains characters that only look like a space or a hyphen: retype it',
      de: 'es enthält Zeichen, die nur wie ein Leerzeichen oder Bindestrich aussehen: neu eintippen',
    }
  }
  if (service.parameters.value(text) !== '') {
    return {
      en: `smtpd_restriction_classes of this service does not list ${text}, so it is not a restriction class`,
      de: `smtpd_restriction_classes dieses smtpd-Dienstes enthält ${text} nicht, also ist es keine Restriktionsklasse`,
    }
  }
  if (decisions.some(({ queries }) => queries.some(({ reached }) => reached === 'yes'))) {
    return {
      en: 'the daemon is queried first and counts the mail; then it is deferred, and the client retries',
      de: 'der Dienst wird zuerst gefragt und zählt die Mail; dann wird sie vorübergehend abgelehnt und kommt wieder',
    }
  }
  return {
    en: 'each message is deferred, and so is each retry',
    de: 'jede Nachricht wird vorübergehend abgelehnt, auch bei jedem neuen Versuch',
  }
}

const OPTION = /^(?:timeout|default_action|max_\w+|\w+_limit|retry_delay|policy_context)\s*=/

/**
 * The list as it was probably meant: with our item in place of what does not work, and without
 * words that are not restrictions. Undefined where that would be a guess.
 */
function asMeant(
  protection: Protection,
  list: string,
  { value }: Setting,
  target: Target,
): string | undefined {
  const item = itemFor(protection, target)
  if (typeof item !== 'string' || !/^smtpd_\w+_restrictions$/.test(list)) return undefined
  const words: string[] = []
  let isOurs = list === END_OF_DATA
  const plain = value
    .replace(/(?:^|[\s,])#.*$/s, '')
    .replaceAll(/["'\u201c\u201d\u201e]/g, '')
    .replaceAll(/;(?=\s|$)/g, ',')
  for (const text of restrictionsOf(plain)) {
    if (text.startsWith('$')) words.push(text)
    else if (isSound(protection, text)) words.push(asksUs(text, target) ? item : text)
    // It may contain restrictions that would be lost.
    else if (/\b(?:permit|reject)/.test(argumentOf(text)) && text.includes('{')) return undefined
    else if (asksUs(text, target) || asksUs(protection.service.parameters.value(text), target)) {
      isOurs = true
      if (!words.includes(item)) words.push(item)
    }
  }
  if (!words.includes(item)) {
    if (!isOurs) return undefined
    words.unshift(item)
  }
  const once = words.filter((word, at) => word !== item || words.indexOf(item) === at)
  const isOpen = protection.service.mistake?.parameter === list && !refusesRelay(protection)
  return [...once, ...(isOpen ? ['reject_unauth_destination'] : [])].join(', ')
}

/** Does the recipient or the relay list of the service say who may relay? */
function refusesRelay({ service }: Protection): boolean {
  const lists = ['smtpd_relay_restrictions', 'smtpd_recipient_restrictions']
  return lists.some(list =>
    /\b(?:reject|defer|(?:reject|defer)_unauth_destination|defer_if_permit)(?=[\s,]|$)/.test(
      service.parameters.value(list),
    ),
  )
}

/** Does this text name one of our ports or sockets? */
function asksUs(text: string, { listeners, formerPorts }: Target): boolean {
  const ports = listeners.flatMap(one => (one.kind === 'inet' ? [one.port] : []))
  const paths = listeners.flatMap(one => (one.kind === 'unix' ? [one.path] : []))
  return (
    [...ports, ...formerPorts].some(port => new RegExp(`:${port}(?!\\d)`).test(text)) ||
    paths.some(path => text.includes(path))
  )
}

/** Does smtpd understand this restriction on its own? */
function isSound({ instance, service }: Protection, text: string): boolean {
  const [word = '', argument] = text.split(/\s+(.*)/s)
  if (word.toLowerCase() === 'check_policy_service') {
    return typeof readPolicyItem(argument ?? '', instance.version) !== 'string'
  }
  const parameters = withOnly(service.parameters, 'smtpd_data_restrictions', text)
  const only = { parameters, version: instance.version, isOurs: () => false }
  const { refusals } = decide(only, CLIENTS.authenticated)
  return !refusals.some(one => one.kind === 'unknown word' && text.startsWith(one.text))
}

/** A line of main.cf that keeps every Postfix program from starting. */
export function badLine(
  file: string,
  text: string,
  mistake: string | undefined,
): Omit<Finding, 'service'> | undefined {
  if (mistake === undefined) return undefined
  const where = /^(.*?:\d+): /s.exec(mistake)?.[1] ?? file
  const line = Number(/\d+$/.exec(where)?.[0] ?? 0)
  const first = logicalLines(text).find(
    ([one]) => one && text.slice(0, one.start).split('\n').length === line,
  )?.[0]
  const quoted = first ? text.slice(first.start, first.contentEnd).trim() : ''
  const [name = '', ...rest] = quoted.split(/\s+/)
  const meant = rest.length > 0 ? `${name} = ${rest.join(' ')}` : `${name} =`
  return {
    id: 'broken-item',
    subject: 'Postfix',
    severity: 'error',
    where,
    what: {
      en: `the line "${quoted}" has no "=": no Postfix program starts`,
      de: `in der Zeile „${quoted}“ fehlt das „=“: kein Postfix-Programm startet`,
    },
    why: { en: 'no mail is accepted', de: 'es wird keine Mail angenommen' },
    remedy: inPlaceOf(where, meant),
  }
}
