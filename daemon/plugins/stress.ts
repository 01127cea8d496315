/**
 * Stress - react while Postfix is under stress.
 *
 *   <Plugin busy>
 *     module = "Stress"
 *     action = "defer try again later"
 *   </Plugin>
 *
 * Postfix sets the attribute `stress` to `yes` while all its smtpd processes are busy (STRESS_README).
 * Then the action is the answer; without one the nested blocks run.
 */

import { definePlugin } from '../policy/plugin.ts'
import { optional, perMail, text } from '../policy/setting.ts'
import { checkAction } from './parts/reaction.ts'

export const stress = definePlugin({
  name: 'Stress',
  summary: 'React while Postfix is under stress.',
  nests: true,
  settings: {
    action: perMail(optional(text({ doc: 'What Postfix is told.' }))),
  },
  create({ action }, surroundings) {
    checkAction(surroundings)
    return (request, context) => {
      if (request.get('stress') !== 'yes') return undefined
      return action(context.session) ?? surroundings.nested?.(request, context)
    }
  },
})
