/**
 * What RBL, RBLAction and DBL have in common: a name is asked for in a DNS block list, and a
 * listing has its reaction.
 *
 * A question that fails is no listing: a list that is away stops no mail. Several lists, and
 * several questions to one, are on their way at the same time; nothing waits where answers are at
 * hand.
 */

import { isListing, listName } from '../policy/block-list.ts'
import type { DnsAnswer, Resolver } from '../policy/dns.ts'
import type { MaybePromise, Surroundings } from '../policy/plugin.ts'
import { perMail, text, toggle } from '../policy/setting.ts'

export interface Listing {
  /** Addresses in 127.0.0.0/8 that say what for (RFC 5782). */
  readonly addresses: readonly string[]
  /** The list's explanations, in one line. */
  readonly info: string
}

/** An SMTP reply has 512 bytes (RFC 5321, 4.5.3.1.5), and the operator's text needs some. */
const LONGEST_INFO = 350

export const enabled = perMail(toggle({ doc: 'off switches the plugin off.', fallback: true }))

export function mode(fallback: string) {
  return perMail(text({ doc: 'reject, accept or passive.', fallback }))
}

const MODES = ['reject', 'accept', 'passive']

/** A mode the original takes for passive without a word. */
export function checkMode({ section, warn }: Surroundings, option: string, modes = MODES): void {
  const value = section.options.find(entry => entry.name === option)?.value
  if (value === undefined || modes.includes(value)) return
  warn(`"${value}" is taken as passive; expected ${modes.join(', ')}`, option)
}

export function checkZone({ warn }: Surroundings, zone: string): void {
  if (/^[\w-]+(?:\.[\w-]+)*\.?$/.test(zone)) return
  warn(`"${listName(zone)}" is no domain: nothing will be found there`, 'domain')
}

/** Who asks ahead of time says nothing about failures; whoever asks again does. */
export const unheard = (): undefined => undefined

/**
 * The listing of a name, or nothing. The explanations are asked for only where there is one.
 * @param note hears why a list could not be asked.
 */
export function lookUp(
  dns: Resolver,
  name: string,
  zone: string,
  note: Surroundings['note'],
): MaybePromise<Listing | undefined> {
  const full = `${name}.${zone}`
  const shown = `${name}.${listName(zone)}`
  const explained = (answer: DnsAnswer<'A'>): MaybePromise<Listing | undefined> => {
    if (answer.outcome === 'empty') return undefined
    if (answer.outcome === 'failed') {
      note(() => `${shown}: ${answer.problem}`)
      return undefined
    }
    const addresses = answer.records.filter(isListing)
    if (addresses.length === 0) {
      note(() => `${shown}: ${answer.records[0]} is no listing`)
      return undefined
    }
    const texts = dns.ask(full, 'TXT', zone)
    return texts instanceof Promise
      ? texts.then(({ records }) => listing(addresses, records))
      : listing(addresses, texts.records)
  }
  const answer = dns.ask(full, 'A', zone)
  return answer instanceof Promise ? answer.then(explained) : explained(answer)
}

function listing(addresses: readonly string[], texts: readonly string[]): Listing {
  return { addresses, info: texts.join(', ').slice(0, LONGEST_INFO) }
}

/**
 * The text of a refusal. Each placeholder counts once, where it stands first, as in the original;
 * what is put in is not looked at again. A blank that an empty value leaves at the end goes.
 */
export function refusalText(template: string, values: Readonly<Record<string, string>>): string {
  const left = new Map(Object.entries(values))
  return template
    .replace(/%([A-Z]+)%/g, (whole, name: string) => {
      const value = left.get(name)
      left.delete(name)
      return value ?? whole
    })
    .trimEnd()
}
