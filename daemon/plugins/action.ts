/**
 * Action - answer with a fixed action.
 *
 *   <Plugin refuse>
 *     module = "Action"
 *     action = "reject no mail today"
 *   </Plugin>
 *
 * The text goes to Postfix as it is written, so its first word must be an action of access(5) or
 * a restriction class of yours; a warning at load says so if it is neither. An empty action is
 * answered as dunno: mtpolicyd sends it, and Postfix takes it for OK.
 */

import { definePlugin } from '../policy/plugin.ts'
import { text } from '../policy/setting.ts'
import { actionWarning } from '../policy/verdict.ts'

export const action = definePlugin({
  name: 'Action',
  summary: 'Answer with a fixed action.',
  settings: {
    action: text({ doc: 'What Postfix is told.' }),
  },
  create({ action }, { warn }) {
    const warning = actionWarning(action)
    if (warning) warn(warning, 'action')
    return () => action
  },
})
