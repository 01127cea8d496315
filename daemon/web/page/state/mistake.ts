/** What is wrong with the value of a variable, by the parser that the server uses when it is set. */

import type { CheckAnswer } from '../../api.ts'
import { post } from './call.ts'

/** Resolves to what was expected instead; empty: it is fine. */
export async function mistakeIn(
  name: string,
  value: string,
  signal?: AbortSignal,
): Promise<string> {
  const answer = await post<CheckAnswer>('variables/check', { name, value }, signal)
  return answer.ok ? '' : answer.expected
}
