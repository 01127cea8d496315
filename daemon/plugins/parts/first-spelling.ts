/**
 * Looks up the spellings of a value one after the other until one is found: databases may or may
 * not ignore case, and directories have addresses with quotes or without. Nearly always there is
 * only one spelling.
 */

import type { MaybePromise } from '../../policy/plugin.ts'

/** The first answer that satisfies `isAnswer`, else the last one. */
export function firstAnswer<T>(
  [value = '', ...others]: readonly string[],
  ask: (value: string) => MaybePromise<T>,
  isAnswer: (answer: T) => boolean,
): MaybePromise<T> {
  const decide = (answer: T): MaybePromise<T> =>
    others.length === 0 || isAnswer(answer) ? answer : firstAnswer(others, ask, isAnswer)
  const answer = ask(value)
  return answer instanceof Promise ? answer.then(decide) : decide(answer)
}
