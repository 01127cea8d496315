/** What lets mail pass that a lookup has refused: what somebody else can do, and what to write where. */

import type { Refusal } from '../policy/ports/history.ts'
import { passingTime } from './found.ts'

/** A sentence without its end, to be followed by how it is put in force; undefined for any other plugin. */
export function lookupAdvice(module: string, refusal: Refusal, place: string): string | undefined {
  const block = `<Plugin ${refusal.by}>${place === '' ? '' : ` at ${place}`}`
  const { listed = '', wait, score, scores } = refusal.facts
  const address = refusal.attributes.client_address ?? ''
  const spared = (key = 'client_address'): string =>
    `enclose ${block} in another one with module = "Condition", key = "${key}", ` +
    `match = "${refusal.attributes[key] ?? ''}" and invert = "1"`
  switch (module) {
    case 'RBL':
    case 'RBLAction':
      return `Have ${address} removed from the list by its operators; or to let it pass here, ${spared()}`
    case 'DBL': {
      const [, name = '', key] = /(\S+) \((\w+)\)$/.exec(String(listed)) ?? []
      return `Have ${name} removed from the list by its operators; or to let it pass here, ${spared(key)}`
    }
    case 'SPF':
      return `The owner of the domain can add ${address} to its record; or to let it pass here, add it to whitelist in ${block}`
    case 'Greylist': {
      const when =
        typeof wait === 'number'
          ? `It passes when it is tried again from that address after ${passingTime({ at: refusal.at, wait })}`
          : 'It passes when it is tried again from that address'
      return `${when}; or to let ${address} pass at once, ${spared()}`
    }
    case 'Honeypot':
      return `It ends by itself when expire has passed; or to let ${address} pass at once, ${spared()}`
    case 'ScoreAction': {
      const added = scores === undefined ? '' : `, or what is added to the score (${scores})`
      return `Change threshold${score === undefined ? '' : `, which ${score} has reached,`} in ${block}${added}`
    }
    case 'Quota':
      return `Raise threshold in ${block}`
    default:
      return undefined
  }
}
