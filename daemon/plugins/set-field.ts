/**
 * SetField - store a value with the mail.
 *
 *   <Plugin mark>
 *     module = "SetField"
 *     key    = "class"
 *     value  = "newsletter"
 *   </Plugin>
 *
 * Later plugins see it as s:class; with a `<SessionCache>`, in all requests of the same mail.
 * Attributes that Postfix sent cannot be changed. Keys that begin with "_" are reserved.
 */

import { definePlugin } from '../policy/plugin.ts'
import { naming, text } from '../policy/setting.ts'

export const setField = definePlugin({
  name: 'SetField',
  summary: 'Store a value with the mail.',
  settings: {
    key: naming({ kind: 'key' }, text({ doc: 'Name of the value.' })),
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
