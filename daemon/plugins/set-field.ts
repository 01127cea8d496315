/**
 * SetField - note a value for the mail.
 *
 *   <Plugin mark>
 *     module = "SetField"
 *     key    = "class"
 *     value  = "newsletter"
 *   </Plugin>
 *
 * Later plugins see it as s:class, for all requests of the same mail where sessions are kept.
 * What Postfix sent cannot be changed. Keys that begin with "_" are reserved.
 */

import { definePlugin } from '../policy/plugin.ts'
import { text } from '../policy/setting.ts'

export const setField = definePlugin({
  name: 'SetField',
  summary: 'Note a value for the mail.',
  settings: {
    key: text({ doc: 'Name of the value.' }),
    value: text({ doc: 'The value.' }),
  },
  create({ key, value }, { fail }) {
    if (key.startsWith('_')) {
      fail('keys that begin with "_" are reserved', 'key')
      return () => undefined
    }
    return (_request, { session }) => {
      session.set(key, value)
      return undefined
    }
  },
})
