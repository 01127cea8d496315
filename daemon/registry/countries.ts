/**
 * The country codes a list may hold: ISO 3166-1 alpha-2, assigned ones, and XK.
 *
 * XK (Kosovo) is user-assigned, but every GeoIP database uses it. Codes of groups (EU, AP) and
 * withdrawn ones are left out on purpose: no client is located there, so naming one is a mistake.
 * A country's English or German name leads to its code, for the one who writes "Germany".
 */

import { nearestName } from '../policy/problem.ts'

const ASSIGNED =
  'AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS ' +
  'BT BV BW BY BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE ' +
  'EG EH ER ES ET FI FJ FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM ' +
  'HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC ' +
  'LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA ' +
  'NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW ' +
  'SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO ' +
  'TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW'

export const countryCodes: ReadonlySet<string> = new Set([...ASSIGNED.split(' '), 'XK'])

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
