/**
 * What precedes an item of ours and keeps it from being evaluated.
 *
 * Each preceding restriction is judged by itself: would a list of just these two reach the item?
 * This explains a list that certainly ends as well as one that may end, and each of several
 * restrictions. Restriction classes are expanded.
 */

import type { Certainty } from './certainty.ts'
import type { Client } from './client.ts'
import { decide } from './decision.ts'
import type { Obstacle, Question } from './message.ts'
import type { Parameters } from './parameters.ts'
import { readPolicyItem } from './policy-item.ts'
import { tokenise } from './restriction-list.ts'
import { restrictionsOf } from './restrictions.ts'
import { canCount, stagesOf } from './stages.ts'

/** At a greater depth Postfix assumes a loop; nobody nests them that deep. */
const MOST_DEPTH = 8

/** In every list where a request could be counted, up to its first item of ours. */
export function obstaclesInFront(question: Question, client: Client): Obstacle[] {
  const { parameters } = question
  return stagesOf(parameters)
    .filter(({ state }) => canCount(state))
    .flatMap(({ list }) => new ListSearch(question, client, list).obstacles())
}

/** The parameters as if the service had only this list, with this value. */
export function withOnly(parameters: Parameters, list: string, value: string): Parameters {
  const nothing = stagesOf(parameters).map(stage => [stage.list, ''] as const)
  return parameters.with({ ...Object.fromEntries(nothing), [list]: value })
}

class ListSearch {
  readonly #question: Question
  readonly #client: Client
  readonly #list: string

  constructor(question: Question, client: Client, list: string) {
    this.#question = question
    this.#client = client
    this.#list = list
  }

  obstacles(): Obstacle[] {
    const value = this.#question.parameters.value(this.#list)
    const item = this.#firstItem(value, 0)
    return item === undefined ? [] : this.#before(value, item, 0)
  }

  /** The first item of ours, in the list or in one of its classes. */
  #firstItem(value: string, depth: number): string | undefined {
    for (const text of restrictionsOf(value)) {
      const found = this.#isItem(text) ? text : this.#firstItem(this.#class(text, depth), depth + 1)
      if (found !== undefined) return found
    }
    return undefined
  }

  #before(value: string, item: string, depth: number): Obstacle[] {
    const found: Obstacle[] = []
    for (const text of restrictionsOf(value)) {
      if (this.#isItem(text)) return found
      const inside = this.#class(text, depth)
      if (inside !== '') found.push(...this.#before(inside, item, depth + 1))
      else found.push(...this.#obstacle(text, item))
      if (this.#firstItem(inside, depth + 1) !== undefined) return found
    }
    return found
  }

  #obstacle(text: string, item: string): Obstacle[] {
    const { reached, passes } = this.#withOnly(`${text} ${item}`)
    // Mail that is rejected does not pass unchecked.
    if (reached === 'yes' || passes === 'no') return []
    const certainty = reached === 'no' ? 'yes' : 'perhaps'
    const list = this.#list
    const setting = this.#question.parameters.setting(list)
    return [{ kind: kindOf(text), text, certainty, list, setting }]
  }

  #withOnly(value: string): { readonly reached: Certainty; readonly passes: Certainty } {
    const parameters = withOnly(this.#question.parameters, this.#list, value)
    const { queries, passes } = decide({ ...this.#question, parameters }, this.#client)
    return { reached: queries[0]?.reached ?? 'no', passes }
  }

  #isItem(text: string): boolean {
    const { isOurs, version } = this.#question
    const [first, argument] = tokenise(text)
    if (first?.text.toLowerCase() !== 'check_policy_service' || !argument) return false
    const item = readPolicyItem(argument.text, version)
    return typeof item !== 'string' && isOurs(item)
  }

  /** The value of a restriction class; empty for everything else. */
  #class(text: string, depth: number): string {
    const { parameters } = this.#question
    const classes = tokenise(parameters.value('smtpd_restriction_classes'))
    const isClass = depth < MOST_DEPTH && classes.some(one => one.text === text)
    return isClass ? parameters.value(text) : ''
  }
}

function kindOf(text: string): Obstacle['kind'] {
  const word = text.split(/\s/)[0] ?? ''
  if (word.toLowerCase() === 'check_policy_service') return 'policy'
  return /_access$/i.test(word) || word.includes(':') ? 'table' : 'permit'
}
