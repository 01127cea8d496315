/** All plugins. The name in `module = "..."` is the plugin's own. */

import type { Plugin } from '../policy/plugin.ts'
import { accounting } from './accounting.ts'
import { action } from './action.ts'
import { addScoreHeader } from './add-score-header.ts'
import { allowedCountries } from './allowed-countries.ts'
import { clearFields } from './clear-fields.ts'
import { condition } from './condition.ts'
import { ctIpRep } from './ct-ip-rep.ts'
import { dbl } from './dbl.ts'
import { evalPlugin } from './eval.ts'
import { fail2ban } from './fail2ban.ts'
import { geoipAction } from './geoip-action.ts'
import { geoipLookup } from './geoip-lookup.ts'
import { greylist } from './greylist.ts'
import { honeypot } from './honeypot.ts'
import { ldapUserConfig } from './ldap-user-config.ts'
import { postfixMap } from './postfix-map.ts'
import { proxy } from './proxy.ts'
import { quota } from './quota.ts'
import { rbl } from './rbl.ts'
import { rblAction } from './rbl-action.ts'
import { regexList } from './regex-list.ts'
import { saAwlAction } from './sa-awl-action.ts'
import { saAwlLookup } from './sa-awl-lookup.ts'
import { scoreAction } from './score-action.ts'
import { sendingLimit } from './sending-limit.ts'
import { setField } from './set-field.ts'
import { smtpVerify } from './smtp-verify.ts'
import { spf } from './spf.ts'
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
  ctIpRep,
  dbl,
  evalPlugin,
  fail2ban,
  geoipAction,
  geoipLookup,
  greylist,
  honeypot,
  ldapUserConfig,
  postfixMap,
  proxy,
  quota,
  rbl,
  rblAction,
  regexList,
  saAwlAction,
  saAwlLookup,
  scoreAction,
  sendingLimit,
  setField,
  smtpVerify,
  spf,
  sqlList,
  sqlUserConfig,
  stress,
]
