/** Every plugin there is. The name in `module = "..."` is the plugin's own. */

import type { Plugin } from '../policy/plugin.ts'
import { accounting } from './accounting.ts'
import { action } from './action.ts'
import { addScoreHeader } from './add-score-header.ts'
import { allowedCountries } from './allowed-countries.ts'
import { clearFields } from './clear-fields.ts'
import { condition } from './condition.ts'
import { evalPlugin } from './eval.ts'
import { geoipAction } from './geoip-action.ts'
import { geoipLookup } from './geoip-lookup.ts'
import { quota } from './quota.ts'
import { regexList } from './regex-list.ts'
import { scoreAction } from './score-action.ts'
import { sendingLimit } from './sending-limit.ts'
import { setField } from './set-field.ts'
import { sqlList } from './sql-list.ts'
import { sqlUserConfig } from './sql-user-config.ts'
import { stress } from './stress.ts'

export const plugins: readonly Plugin[] = [
  accounting,
  action,
  addScoreHeader,
  allowedCountries,
  clearFields,
  condition,
  evalPlugin,
  geoipAction,
  geoipLookup,
  quota,
  regexList,
  scoreAction,
  sendingLimit,
  setField,
  sqlList,
  sqlUserConfig,
  stress,
]
