/** What is wrong with the console. Mail is never touched by it. */

import type { DaemonStatus } from '../control/protocol.ts'
import type { Finding } from '../policy/finding.ts'

export function webFindings({ web }: DaemonStatus): Finding[] {
  if (web?.state !== 'failed') return []
  const problem = web.problem ?? ''
  return [
    {
      id: 'web-failing',
      subject: 'web console',
      severity: 'warning',
      where: 'mtpolicyd/web/port',
      service: '',
      what: {
        en: `there is no web console: ${problem}`,
        de: `es gibt keine Web-Konsole: ${problem}`,
      },
      why: {
        en: 'browsers and Prometheus find nothing there; mail is not affected',
        de: 'Browser und Prometheus finden dort nichts; Mail betrifft es nicht',
      },
      remedy: {
        en: 'choose another port: mtpolicyctl set mtpolicyd/web/port=PORT; or switch it off: mtpolicyctl web off',
        de: 'einen anderen Port wählen: mtpolicyctl set mtpolicyd/web/port=PORT; oder sie abschalten: mtpolicyctl web off',
      },
    },
  ]
}
