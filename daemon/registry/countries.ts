/**
 * The country somebody means who writes no code: its English or German name, or a habit ("UK").
 * Which codes there are is policy's business.
 */

import { countryCodes } from '../policy/country-codes.ts'
import { nearestName } from '../policy/problem.ts'

/** Codes that people write for another one's country. */
const HABITS: ReadonlyMap<string, string> = new Map([
  ['uk', 'GB'],
  ['england', 'GB'],
  ['el', 'GR'],
  ['usa', 'US'],
  ['holland', 'NL'],
])

let codesByName: Map<string, string> | undefined

/** The code that was probably meant by something that is no code. */
export function countryMeantBy(text: string): string | undefined {
  codesByName ??= readNames()
  const folded = text.trim().toLowerCase()
  const exact = HABITS.get(folded) ?? codesByName.get(folded)
  if (exact !== undefined) return exact
  // Two or three letters are near to every other two or three letters: no guessing there.
  if (folded.length < 4) return undefined
  return codesByName.get(nearestName(folded, codesByName.keys()) ?? '')
}

function readNames(): Map<string, string> {
  const names = new Map<string, string>()
  for (const language of ['en', 'de']) {
    const display = new Intl.DisplayNames(language, { type: 'region' })
    for (const code of countryCodes) {
      const name = display.of(code)
      if (name !== undefined) names.set(name.toLowerCase(), code)
    }
  }
  return names
}
