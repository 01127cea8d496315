/**
 * Eval - run plugins and keep their action instead of answering with it.
 *
 *   <Plugin verdict>
 *     module   = "Eval"
 *     store_in = "verdict"
 *     <Plugin newsletter>
 *       module = "Condition"
 *       key    = "sender"
 *       match  = "news@example.org"
 *       action = "dunno"
 *     </Plugin>
 *   </Plugin>
 *
 * If the nested blocks return an action, it is stored under `store_in` and the chain continues. Scores
 * and values they set are kept.
 */

import { definePlugin, type Outcome } from '../policy/plugin.ts'
import { naming, text } from '../policy/setting.ts'

export const evalPlugin = definePlugin({
  name: 'Eval',
  summary: 'Run plugins and keep their action.',
  nests: true,
  keepsAction: true,
  settings: {
    store_in: naming({ kind: 'key' }, text({ doc: 'Session key for the action.' })),
  },
  create({ store_in }, { nested, fail }) {
    if (store_in.startsWith('_')) fail('keys that begin with "_" are reserved', 'store_in')
    return (request, context) => {
      const keep = (outcome: Outcome): undefined => {
        if (outcome !== undefined && !store_in.startsWith('_')) {
          context.session.set(store_in, outcome)
        }
      }
      const outcome = nested?.(request, context)
      return outcome instanceof Promise ? outcome.then(keep) : keep(outcome)
    }
  },
})
