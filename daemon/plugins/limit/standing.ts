/** Where an account stands in a limit: read from the ledger, with the rule that its mail is judged by. */

import { accountName } from '../../policy/account.ts'
import type { AccountLimit } from '../../policy/account-limit.ts'
import type { Period } from '../../policy/calendar.ts'
import type { Claim, LedgerEvent, Rolling } from '../../policy/ports/ledger.ts'
import type { AccountMeasures } from '../../policy/ports/measures.ts'
import { type MaybePromise, whenReady } from '../../system/maybe-promise.ts'
import { scaleOf, type UnitName } from './amount.ts'
import type { Voice } from './reaction.ts'
import type { Rule } from './rule.ts'
import { writtenWindow } from './window.ts'

/** No message has it: an attribute is one line. */
const NO_INSTANCE = '\n'

export interface Judging {
  /** Undefined: the account's mail is not counted. */
  subjectOf(account: string): string | undefined
  /** The rule of a subject's mail, if that is ordered for the account. */
  ruleOf(subject: string, measures: AccountMeasures | undefined): MaybePromise<Rule>
  windowAt(now: number): Period | Rolling
}

export function accountLimit(
  { name, ledger, counter, unit, kind, window }: Voice,
  written: UnitName,
  defaultDomain: string,
  { subjectOf, ruleOf, windowAt }: Judging,
): AccountLimit {
  const scale = scaleOf(unit)

  function again(account: string, claim: Claim, now: number): MaybePromise<number | undefined> {
    if ('endsAt' in claim.window) return claim.window.endsAt
    const fits = ledger.fitsAt(smallestMessage(account, now), claim)
    return whenReady(fits, at => (at === undefined || at <= now ? undefined : at))
  }

  return {
    name,
    counter,
    per: kind,
    unit: written,
    window: writtenWindow(window),
    defaultDomain,
    windowAt,
    standing(login, now, measures) {
      const account = accountName(login, defaultDomain)
      const subject = subjectOf(account)
      if (subject === undefined) return undefined
      const current = windowAt(now)
      return whenReady(ruleOf(subject, measures), rule =>
        whenReady(ledger.used(counter, subject, current, now), used => {
          const claim = { counter, subject, window: current, unit, limit: rule.limit }
          return whenReady(again(account, claim, now), again => ({
            subject,
            used: used / scale,
            limit: rule.limit / scale,
            again,
            next: actionBeyond(rule, used),
          }))
        }),
      )
    },
  }
}

/** The verb for a message that adds one to what is used. */
function actionBeyond({ grades, mostRecipients, mostBytes }: Rule, used: number) {
  if (mostRecipients < 1 || mostBytes < 1) return 'reject'
  const grade = grades.findLast(({ beyond }) => used + 1 > beyond)
  return grade && /^\S*/.exec(grade.action)?.[0].toLowerCase()
}

function smallestMessage(account: string, now: number): LedgerEvent {
  return {
    account,
    stage: 'END-OF-MESSAGE',
    instance: NO_INSTANCE,
    connection: 0,
    service: '',
    recipient: '',
    recipients: 1,
    bytes: 1,
    queueId: '',
    mostRecipients: Number.POSITIVE_INFINITY,
    now,
    claims: [],
  }
}
