/** Settings and texts that RBL, RBLAction and DBL have in common. */

import { listName } from '../../policy/block-list.ts'
import { fact } from '../../policy/facts.ts'
import { fillTemplate } from '../../policy/fields.ts'
import type { Surroundings } from '../../policy/plugin.ts'

export const listingFacts = {
  listed: fact<string>(
    'decision',
    'The list that has the client, or a domain of the mail, and its answer.',
  ),
}

/** `zen.spamhaus.org 127.0.0.4,127.0.0.11`. A zone may have the key of a subscription. */
export function listingText(zone: string, addresses: readonly string[]): string {
  return `${listName(zone)} ${addresses.join(',')}`
}

export function checkZone({ warn }: Surroundings, zone: string): void {
  if (/^[\w-]+(?:\.[\w-]+)*\.?$/.test(zone)) return
  warn(`"${listName(zone)}" is not a domain: nothing will be found there`, 'domain')
}

/** A query sent ahead of time says nothing about failures; the one that needs the answer does. */
export const unheard = (): undefined => undefined

/** The text of a refusal, without the space that an empty value leaves at the end. */
export function refusalText(template: string, values: Readonly<Record<string, string>>): string {
  return fillTemplate(template, values).trimEnd()
}
