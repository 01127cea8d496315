/** What is wrong with the console. Mail is never touched by it. */

import { isLoopbackHost } from '../net/loopback.ts'
import type { Finding } from '../policy/finding.ts'
import type { DaemonStatus } from './protocol.ts'

export function webFindings({ web }: DaemonStatus): Finding[] {
  if (web?.state === 'failed') return [failing(web.problem ?? '')]
  return web?.state === 'listening' && isReadable(web.address) ? [unencrypted(web.address)] : []
}

/** Does it go over a network as it is? */
function isReadable(address: string): boolean {
  if (!URL.canParse(address)) return false
  const { protocol, hostname } = new URL(address)
  return protocol === 'http:' && !isLoopbackHost(hostname.replace(/^\[(.*)\]$/, '$1'))
}

function failing(problem: string): Finding {
  return {
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
  }
}

function unencrypted(address: string): Finding {
  return {
    id: 'web-unencrypted',
    subject: 'web console',
    severity: 'warning',
    where: 'mtpolicyd/web/host',
    service: '',
    what: {
      en: `the web console is used without encryption, at ${address}`,
      de: `die Web-Konsole wird unverschlüsselt benutzt, unter ${address}`,
    },
    why: {
      en: 'a reader of the network can log in as the administrator',
      de: 'wer das Netz mitliest, kann sich als Administrator anmelden',
    },
    remedy: {
      en: 'mtpolicyctl set mtpolicyd/web/host=localhost, and a reverse proxy with HTTPS (mtpolicyd/web/names), or ssh -L',
      de: 'mtpolicyctl set mtpolicyd/web/host=localhost, dazu ein Reverse-Proxy mit HTTPS (mtpolicyd/web/names) oder ssh -L',
    },
  }
}
