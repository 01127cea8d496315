/**
 * SendingLimit - limit what may be sent in a day, an hour or another window.
 *
 *   <Plugin limit>
 *     module    = "SendingLimit"
 *     threshold = 1000
 *     <User newsletter@example.org>
 *       threshold = 20000
 *     </User>
 *     <User ceo>
 *       threshold = unlimited
 *     </User>
 *   </Plugin>
 *   <Plugin hour>
 *     module          = "SendingLimit"
 *     threshold       = 100
 *     window          = 1h
 *     most_recipients = 50
 *   </Plugin>
 *
 * Each block is one limit; a chain may have several, and a message is counted by all of them or by
 * none. What Postfix accepts is counted, every recipient once, whether the service is queried at RCPT,
 * DATA, END-OF-MESSAGE or several of them; a message that is refused, by this plugin or another one,
 * costs nothing. Limits are made for smtpd_end_of_data_restrictions: there a message is accepted or
 * refused as a whole. A count is on disk before Postfix gets the answer.
 *
 * `threshold` is a number of `unit`: recipients, messages, or megabytes of 1,000,000 bytes, which are
 * counted at END-OF-MESSAGE only, where the size is known. `unlimited` counts without a limit; 0 lets
 * no mail through. `most_recipients` and `most_megabytes` cap a single message, and `threshold =
 * unlimited` does not lift them; with one of them `threshold` may be left out. If a limit is lowered
 * below what has been used, mail is refused until there is room again.
 *
 * `window` is a `day`, `week` (from Monday) or `month` of the calendar in the time zone `timezone`, or
 * rolling: the last 10m, 1h, 24h or 30d, from 1m to 90d. A rolling window never lets more than the
 * limit through in any interval of its length; what was sent leaves it up to a sixtieth of that length
 * late.
 *
 * `per` says who shares a count:
 *
 * - `user`: the login name. Mail without a login is not counted.
 * - `domain`: that of the login name, else `default_domain`, else that of the sender, which users may
 *   choose.
 * - `client`: the client's address; `network`: its /24, or with IPv6 its /64.
 * - `sender`: the envelope sender; upper and lower case are the same.
 * - `server`: everybody.
 *
 * The null sender (of bounces) has neither an address nor a domain; the login is counted instead, or
 * else the client's address. Only mail with a login is limited, unless `applies_to` is
 * `unauthenticated` or `all`.
 *
 * `excess` is what happens to mail beyond the limit: `reject`, which is the default, `defer`, `hold`, or
 * any other action of access(5). Mail that is held, or let through with another action, is counted.
 * Instead of a threshold there can be grades: with `from 200 hold, from 400 reject` mail that brings
 * the count beyond 200 is held, and mail that would bring it beyond 400 is refused. No grade can follow
 * one that refuses. What is beyond `most_recipients` or `most_megabytes` is always rejected.
 *
 * A message that brings what is used to `warn_at` percent of the limit, or of the number at which the
 * last grade begins, has the field `near` in its log line, and `mtpolicyctl status` shows it for a day.
 *
 * `text` replaces the text for the mail user, which otherwise is in the `language` en, de or fr. It may
 * contain %USER%, %LIMIT%, %USED%, %LEFT%, %RECIPIENTS% (of this message), %WINDOW% and %AGAIN%: when
 * the window ends, or when a rolling one has room for this very message. An enhanced status code is
 * added if there is none. Replies of SMTP are ASCII, so the German texts have no umlauts and the French
 * ones no accents.
 *
 * <User NAME>, <Group NAME> and <Domain NAME> blocks may have a `threshold`, `excess`,
 * `most_recipients` and `most_megabytes` of their own. What such a block does not set is taken from the
 * limit itself; but a threshold without an excess replaces all grades. Only one block counts: that of
 * the user, else that of the first group the user is in, else that of the domain. The `members` of a
 * group are names and @domains, separated by commas, or a table of Postfix that has them as keys, such
 * as hash:/etc/postfix/newsletter. With `per = domain` there are <Domain> blocks only, with any other
 * `per` than these two none. A threshold that LDAP or SQL has put into the session, under the key that
 * `uc_threshold` names, comes before all of them. So does, while it lasts, what `mtpolicyctl limit` has
 * ordered for an account.
 *
 * `counter` names the count; by default it has the name of the block. Blocks with the same name, for
 * example in several virtual hosts, share a count, and must have the same `window`, `unit` and `per`.
 * If two blocks that share one judge the same mail, the first one decides.
 */

import { fact } from '../policy/facts.ts'
import { type Context, definePlugin, type Limit, type Surroundings } from '../policy/plugin.ts'
import type { AccountMeasures } from '../policy/ports/measures.ts'
import { fatal } from '../policy/problem.ts'
import type { PolicyRequest } from '../policy/request.ts'
import { Session } from '../policy/session.ts'
import { choice, custom, optional, perMail, type SettingValues, text } from '../policy/setting.ts'
import { type MaybePromise, whenReady } from '../system/maybe-promise.ts'
import {
  counterOf,
  most_megabytes,
  most_recipients,
  readAmount,
  threshold,
  UNITS,
  unitOf,
} from './limit/amount.ts'
import { compareCounters } from './limit/counters.ts'
import { excess, REJECT } from './limit/excess.ts'
import { otherLimit } from './limit/other-limit.ts'
import { OVERRIDES, readOverrides } from './limit/overrides.ts'
import { ownText } from './limit/own-text.ts'
import { beyondCap, limitOf, voiceOf } from './limit/reaction.ts'
import { changed, type Rule, ruleOf, type Terms, withThreshold } from './limit/rule.ts'
import { accountLimit } from './limit/standing.ts'
import { SUBJECTS, subjectOf, subjectOfAccount } from './limit/subject.ts'
import { LANGUAGES } from './limit/texts.ts'
import { window, windowAt, writtenWindow } from './limit/window.ts'

/** Longest name of a counter. */
const MOST_CHARACTERS = 512

const settings = {
  threshold: perMail(optional(threshold)),
  per: choice(SUBJECTS, { doc: 'Who shares a count.', fallback: 'user' }),
  applies_to: choice(['authenticated', 'unauthenticated', 'all'], {
    doc: 'Whether mail with a login, without one, or all mail is limited.',
    fallback: 'authenticated',
  }),
  window,
  unit: choice(UNITS, { doc: 'What is counted.', fallback: 'recipients' }),
  most_recipients: optional(most_recipients),
  most_megabytes: optional(most_megabytes),
  excess: optional(excess),
  warn_at: optional(
    custom<number>(
      'a percentage from 1% to 100%',
      value => {
        const percent = /^\d{1,3}%?$/.test(value) ? Number.parseInt(value, 10) : 0
        return percent >= 1 && percent <= 100 ? percent : undefined
      },
      { doc: 'Part of the limit that a message has to reach to be marked in the log.' },
    ),
  ),
  text: ownText,
  language: choice(LANGUAGES, { doc: 'Language of our texts.', fallback: 'en' }),
  default_domain: text({ doc: 'Domain that is removed from user names.', fallback: '' }),
  counter: optional(text({ doc: 'Name of the count; the default is the name of the block.' })),
}

type Values = SettingValues<typeof settings>

export const sendingLimit = definePlugin({
  name: 'SendingLimit',
  summary: 'Limit what may be sent in a day, an hour or another window.',
  blocks: OVERRIDES,
  isLimit: true,
  facts: {
    used: fact<number>(
      'decision',
      'What is used of the limit that is closest to its end, this message included.',
    ),
    limit: fact<number | string>('decision', 'That limit.'),
    measure: fact<string>('decision', 'The measure of an administrator’s that was applied.'),
    near: fact<string>('decision', 'Limits that this message has brought to their `warn_at`.'),
  },
  settings,
  compare: (blocks, problems) => compareCounters(blocks, settings, problems),
  create(values, surroundings) {
    const { name, timezone, note } = surroundings
    const { per, applies_to, default_domain } = values
    const written = values.counter ?? name
    const unit = unitOf(values.unit)
    const terms = readTerms(values, written, surroundings)
    const voice = voiceOf(values, counterOf(written, unit), unit, surroundings)
    const applied = (asked: Terms): Applied => {
      const rule = ruleOf(asked, unit, values.warn_at)
      return { rule, limit: limitOf(rule, voice) }
    }
    const usual = applied(terms)
    const override = readOverrides(per, default_domain, surroundings, changes =>
      applied(changed(terms, changes)),
    )
    const perMailRule = ruleOfSession(surroundings, applied)
    const subjectFor = subjectOf(per, default_domain)
    const rolling = typeof values.window === 'string' ? undefined : values.window
    const windowOf = windowAt(values.window, timezone)
    const windowText = writtenWindow(values.window)
    const ordered = otherLimit(name, windowText, unit)
    const takesUsers = applies_to !== 'unauthenticated'
    const takesOthers = applies_to !== 'authenticated'
    let hasNoted = false

    /** By its own block, or by the limit's usual rule. */
    function configuredFor(subject: string): MaybePromise<Applied> {
      const own = override?.(subject)
      return own instanceof Promise ? own.then(found => found ?? usual) : (own ?? usual)
    }

    /** A measure's number comes before every other; the rest of the rule stays. */
    function asOrdered(configured: Applied, measures: AccountMeasures): Applied {
      const number = per === 'user' ? ordered(measures) : undefined
      if (number === undefined) return configured
      const { rule, limit } = applied(withThreshold(configured.rule.terms, number))
      return {
        rule,
        limit: { ...limit, saw: (...of) => ({ ...limit.saw?.(...of), measure: 'limit' }) },
      }
    }

    function count(ruled: Applied, subject: string, request: PolicyRequest, context: Context) {
      const configured = perMailRule?.(ruled, context.session) ?? ruled
      const { measures } = context
      const judged = measures ? asOrdered(configured, measures) : configured
      if (judged !== configured) context.facts.measure = 'limit'
      const { rule, limit } = judged
      const { stage } = request
      const refusal = rule.isCapped ? beyondCap(rule, request, voice) : undefined
      if (unit === 'bytes' && stage !== 'END-OF-MESSAGE') {
        if (!hasNoted) note(() => `megabytes are counted at END-OF-MESSAGE, not at ${stage}`)
        hasNoted = true
        return refusal
      }
      // Also what is refused: in observe mode it passes, and counts.
      context.count(limit, subject, rolling ?? windowOf(context.now))
      return refusal
    }

    const accountSubject = takesUsers ? subjectOfAccount(per, default_domain) : undefined
    if (accountSubject) {
      surroundings.declareLimit(
        accountLimit(voice, values.unit, default_domain, {
          subjectOf: accountSubject,
          ruleOf: (subject, measures) =>
            whenReady(configuredFor(subject), one =>
              measures ? asOrdered(one, measures).rule : one.rule,
            ),
          windowAt: now => rolling ?? windowOf(now),
        }),
      )
    }

    return (request, context) => {
      if (request.stage === undefined) return undefined
      const account = request.account(default_domain)
      if (!(account === '' ? takesOthers : takesUsers)) return undefined
      const subject = subjectFor(request, account)
      if (subject === undefined) return undefined
      const ruled = configuredFor(subject)
      return ruled instanceof Promise
        ? ruled.then(one => count(one, subject, request, context))
        : count(ruled, subject, request, context)
    }
  },
})

/** A rule, and what the chain is given for it. */
interface Applied {
  readonly rule: Rule
  readonly limit: Limit
}

/** What the block says by itself, and what is wrong with it. */
function readTerms(values: Values, counter: string, surroundings: Surroundings): Terms {
  const { section, problems, refuse, warn } = surroundings
  const { most_recipients, most_megabytes, per, applies_to } = values
  if (counter.length > MOST_CHARACTERS) {
    refuse(
      `a counter's name has ${MOST_CHARACTERS} characters at most, this one ${counter.length}`,
      'counter',
    )
  }
  if (per === 'user' && applies_to !== 'authenticated') {
    warn(
      'mail without a login has no user and is not counted; expected another `per`, such as client',
      'applies_to',
    )
  }
  if (applies_to !== 'authenticated' && (per === 'sender' || per === 'domain')) {
    const whose = per === 'sender' ? 'an address' : 'a domain'
    warn(
      `without a login anybody can send in the name of ${whose} and use up its limit; expected ` +
        'per = client or network, unless only hosts that you trust can connect',
      'applies_to',
    )
  }
  const number = values.threshold(new Session())
  for (const [option, most] of Object.entries({
    threshold: number,
    most_recipients,
    most_megabytes,
  })) {
    // In a block of its own, somebody is meant to send nothing.
    if (most === 0)
      warn('0 lets no mail through; expected unlimited if there is to be no limit', option)
  }
  const { excess = REJECT } = values
  const hasCap = most_recipients !== undefined || most_megabytes !== undefined
  if (number === undefined && !excess.grades && !hasCap) {
    const what = `${threshold.doc} (${threshold.expected})`
    problems.push(fatal(section.place, `<Plugin ${section.name}> needs "threshold": ${what}`))
  }
  if (number !== undefined && excess.grades) {
    warn('it has no effect, because `excess` has grades', 'threshold')
  }
  const ownNumber = excess.grades ? undefined : number
  return { threshold: ownNumber, excess, most_recipients, most_megabytes }
}

/** The rule of a mail whose session has a threshold; undefined: no key was named. */
function ruleOfSession(
  { section }: Surroundings,
  applied: (terms: Terms) => Applied,
): ((usual: Applied, session: Session) => Applied) | undefined {
  const key = section.options.find(option => option.name === 'uc_threshold')?.value
  if (key === undefined) return undefined
  return (usual, session) => {
    const written = session.text(key)
    const number = written === undefined ? undefined : readAmount(written)
    return number === undefined ? usual : applied(withThreshold(usual.rule.terms, number))
  }
}
