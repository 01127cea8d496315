/**
 * Action - answer with a fixed action.
 *
 *   <Plugin refuse>
 *     module = "Action"
 *     action = "reject no mail today"
 *   </Plugin>
 *
 * The text is sent to Postfix as written, so its first word must be an action of access(5) or one of
 * your restriction classes. If it is neither, there is a warning when the configuration is loaded.
 *
 * Differences from mtpolicyd
 *
 * - An empty action is answered as dunno. mtpolicyd sends it unchanged, and Postfix takes it for OK.
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
