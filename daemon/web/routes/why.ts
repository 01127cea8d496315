/** GET why/CODE: a refusal whole, the rule behind it and what would let such mail pass, as `mtpolicyctl why` tells it. */

import type { WhyAnswer } from '../../control/protocol.ts'
import { type FurtherRuling, furtherRulings } from '../../diagnosis/further-rulings.ts'
import { rulingOf } from '../../diagnosis/remedies.ts'
import { readDecisionCode } from '../../policy/decision-code.ts'
import type { Refusal } from '../../policy/ports/history.ts'
import type { Values } from '../../registry/layers.ts'
import { openRegistry } from '../../registry/registry.ts'
import type { Why } from '../api.ts'
import { askHistory } from '../ask-history.ts'
import type { Daemon } from '../daemon.ts'
import { json, WebError } from '../reply.ts'
import type { MakeRoutes } from '../router.ts'

export const whyRoutes: MakeRoutes = ({ daemon, paths }) => [
  {
    method: 'GET',
    path: '/api/why/:code',
    role: 'read',
    handle: async ({ params }) => {
      const code = readDecisionCode(params.code ?? '')
      if (code === undefined) throw new WebError(400, 'expected a code such as K3F-9QT')
      const answer = await askHistory(daemon, 'why', { code })
      const { refusal, others, days } = answer
      if (!refusal)
        throw new WebError(404, `no refusal ${code} is known; they are kept ${days} days`)
      const values = openRegistry({ root: paths.root, env: process.env }).values()
      const further = await furtherOf(daemon, refusal, answer, values)
      const why: Why = { refusal, others, days, ...rulingOf(refusal, answer, values), further }
      return json(why)
    },
  },
]

/** Mail of nobody has no account. */
async function furtherOf(
  daemon: Daemon,
  refusal: Refusal,
  answer: WhyAnswer,
  values: Values,
): Promise<readonly FurtherRuling[]> {
  if (refusal.account === '') return []
  const report = await daemon.call('user', { name: refusal.account })
  return furtherRulings(refusal, answer, report, values)
}
