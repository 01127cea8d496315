/**
 * What to write where. A remedy is a sentence or a command, optionally followed by a line feed and
 * lines that work when pasted into the file as they are: `name = value` for main.cf, ` -o …` for
 * master.cf.
 */

import type { Words } from '../../policy/finding.ts'
import { protocolsOf, restrictionItem, serverFor } from '../smtpd/endpoint.ts'
import type { PostfixInstance } from '../smtpd/instance.ts'
import type { Query } from '../smtpd/message.ts'
import type { Setting } from '../smtpd/parameters.ts'
import { formatServer, type PolicyServer, readPolicyItem } from '../smtpd/policy-item.ts'
import type { Protection } from '../smtpd/protection.ts'
import type { Target } from '../smtpd/reach.ts'
import { END_OF_DATA, tokenise } from '../smtpd/restriction-list.ts'
import { restrictionsOf } from '../smtpd/restrictions.ts'

export const REGISTER = 'mtpolicyctl postfix register'

/** `FILE:LINE`; empty for a default. */
export function whereOf({ place }: Setting): string {
  return place ? `${place.file}:${place.line}` : ''
}

/** Bytes from a file as text for people. */
export function shown(text: string): string {
  const read = Buffer.from(text, 'latin1').toString('utf8')
  return read.includes('\ufffd') ? text : read
}

/** A parameter's line, in the form of the file in which it is set now. */
export function settingLine(name: string, bytes: string, { origin }: Setting): string {
  const value = shown(bytes)
  if (origin !== 'master.cf') return `${name} = ${value}`.trimEnd()
  return /\s/.test(value) ? `  -o { ${name} = ${value} }` : `  -o ${name}=${value}`
}

/** The line that sets a parameter, and where it goes; `first` is a command that does the same. */
export function write(
  { mainCf }: Pick<PostfixInstance, 'mainCf'>,
  line: { readonly name: string; readonly value: string; readonly setting: Setting },
  first?: string,
): Words {
  const place = whereOf(line.setting)
  const [by, von] =
    first === undefined ? ['', ''] : [`${first}, or by hand: `, `${first}, oder von Hand: `]
  const text = settingLine(line.name, line.value, line.setting)
  const en = place === '' ? `add to ${mainCf.file}` : `replace ${place} with`
  const de = place === '' ? `in ${mainCf.file} eintragen` : `${place} ersetzen durch`
  return { en: `${by}${en}:\n${text}`, de: `${von}${de}:\n${text}` }
}

/** Our item with an address that this smtpd can connect to; or why there is none. */
export function itemFor(
  { instance, service }: Protection,
  { listeners }: Target,
): string | { readonly why: string } {
  const server = serverOf({ service }, { listeners })
  return 'why' in server ? server : restrictionItem(server, instance.version)
}

export function serverOf(
  { service }: Pick<Protection, 'service'>,
  { listeners }: Pick<Target, 'listeners'>,
): PolicyServer | { readonly why: string } {
  return serverFor(listeners, protocolsOf(service.parameters.value('inet_protocols')))
}

/** Makes the daemon listen where this smtpd can connect to it. */
export const LISTEN_EVERYWHERE: Words = {
  en: 'mtpolicyctl set mtpolicyd/host=localhost, so that the daemon listens on IPv4 and IPv6',
  de: 'mtpolicyctl set mtpolicyd/host=localhost, damit der Dienst über IPv4 und IPv6 erreichbar ist',
}

/** Our item first in the end-of-data list that this service uses. */
export function itemFirst(protection: Protection, target: Target): Words {
  const { instance, service } = protection
  const item = itemFor(protection, target)
  if (typeof item !== 'string') return LISTEN_EVERYWHERE
  const setting = service.parameters.setting(END_OF_DATA)
  const server = serverOf(protection, target)
  const ours = [
    ...('why' in server ? [] : [server]),
    ...protection.missed.map(({ query }) => query.item.server),
  ]
  const rest = withoutItems(setting.value, instance.version, ours.map(formatServer))
  const value = [item, ...rest].join(', ')
  return write(instance, { name: END_OF_DATA, value, setting }, REGISTER)
}

/**
 * Where an item is written: in the list, in a class, or in a parameter that the list refers to. If
 * the item itself is composed from several parameters: the list.
 */
export function placeOf(
  { instance, service }: Pick<Protection, 'instance' | 'service'>,
  { list, text, byClass }: Pick<Query, 'list' | 'text' | 'byClass'>,
): { readonly name: string; readonly setting: Setting } {
  const argument = argumentOf(text)
  const names = [
    list,
    ...(byClass === undefined ? [] : [byClass]),
    ...service.master.options.map(({ name }) => name),
    ...instance.settings.keys(),
  ]
  const setting = (name: string) => service.parameters.setting(name)
  const name = names.find(one => setting(one).value.includes(argument)) ?? list
  return { name, setting: setting(name) }
}

/** The argument of `check_policy_service ARGUMENT`. */
export function argumentOf(text: string): string {
  return text.replace(/^\S+\s+/, '')
}

/** The restrictions of a list, without the items that query one of these servers. */
function withoutItems(list: string, version: string, servers: readonly string[]): string[] {
  return restrictionsOf(list).filter(text => {
    const [first, argument] = tokenise(text)
    if (first?.text.toLowerCase() !== 'check_policy_service' || !argument) return true
    const item = readPolicyItem(argument.text, version)
    return typeof item === 'string' || !servers.includes(formatServer(item.server))
  })
}
