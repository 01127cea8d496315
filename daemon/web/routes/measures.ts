/** POST account/NAME/{block,allow,limit,release,reset}: what is ordered for one account, by whom and why. */

import { readUntil, UNTIL } from '../../text/when.ts'
import type { OrderAnswer, ReleaseAnswer, ResetAnswer } from '../api.ts'
import { type Fields, fieldsOf, neededText, textOf } from '../given.ts'
import { json, WebError } from '../reply.ts'
import type { MakeRoutes, Route } from '../router.ts'

const COMMON = ['reason', 'until']
/** `2026-12-01T12:00:00.000Z`, as a browser writes times. */
const ISO = /^\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d:\d\d)$/

export const measureRoutes: MakeRoutes = ({ daemon, clock }) => {
  const ordered = (
    kind: 'block' | 'allow' | 'limit',
    read: (fields: Fields) => Readonly<Record<string, string | undefined>>,
    names: readonly string[] = [],
  ): Route =>
    posted(kind, async ({ params, body, by }) => {
      const fields = fieldsOf(body, [...COMMON, ...names])
      const until = untilOf(textOf(fields, 'until'), clock.now())
      const why = textOf(fields, 'reason')
      const account = params.name
      const answer: OrderAnswer = await daemon.call('order', {
        kind,
        account,
        by,
        why,
        until,
        ...read(fields),
      })
      return json(answer)
    })
  return [
    ordered('block', () => ({})),
    ordered('allow', fields => ({ countries: neededText(fields, 'countries') }), ['countries']),
    ordered(
      'limit',
      fields => ({
        threshold: neededText(fields, 'threshold'),
        window: textOf(fields, 'window'),
      }),
      ['threshold', 'window'],
    ),
    posted('release', async ({ params, body, by }) => {
      fieldsOf(body, [])
      const released = await daemon.call('release', { account: params.name, by })
      const answer: ReleaseAnswer = { released }
      return json(answer)
    }),
    posted('reset', async ({ params, body, by }) => {
      const fields = fieldsOf(body, ['reason', 'window'])
      const counts = await daemon.call('reset', {
        account: params.name,
        by,
        why: textOf(fields, 'reason'),
        window: textOf(fields, 'window'),
      })
      const answer: ResetAnswer = { counts }
      return json(answer)
    }),
  ]
}

function posted(act: string, handle: Route['handle']): Route {
  return { method: 'POST', path: `/api/account/:name/${act}`, role: 'change', handle }
}

/** A time to come, ISO 8601. */
function untilOf(text: string | undefined, now: number): string | undefined {
  if (text === undefined) return undefined
  const at = ISO.test(text) ? Date.parse(text) : readUntil(text, now)
  if (at !== undefined && at > now) return new Date(at).toISOString()
  throw new WebError(400, `"until" must be ${UNTIL}, in the future`)
}
