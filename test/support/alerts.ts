/** Alerts of tests, what their deliveries need, and what a real MIME parser reads in a mail. */

import { execFileSync, spawnSync } from 'node:child_process'
import { join } from 'node:path'
import type { Alert } from '../../daemon/alerts/alert.ts'
import type { AlertSettings, DeliverySurroundings } from '../../daemon/alerts/delivery.ts'

export function alertOf(given: Partial<Alert> = {}): Alert {
  return {
    id: '1764575000123-1',
    at: Date.UTC(2026, 11, 1, 7, 43, 20),
    state: 'raised',
    kind: 'account-near',
    key: 'alice@example.org\nper-day',
    severity: 'note',
    account: 'alice@example.org',
    what: {
      en: 'alice@example.org has used 160 of 200 recipients a day',
      de: 'alice@example.org hat 160 von 200 Empfängern am Tag verbraucht',
      fr: 'alice@example.org a utilisé 160 sur 200 destinataires par jour',
    },
    why: {
      en: 'mail beyond the limit is not accepted as usual',
      de: 'Mail jenseits des Limits wird nicht wie sonst angenommen',
      fr: 'au-delà de la limite, le courrier n’est plus accepté comme d’habitude',
    },
    remedy: {
      en: 'mtpolicyctl user alice@example.org',
      de: 'mtpolicyctl user alice@example.org',
      fr: 'mtpolicyctl user alice@example.org',
    },
    facts: { user: 'alice@example.org', limits: 'per-day', used: 160, limit: 200 },
    ...given,
  }
}

export const NO_ALERTS: AlertSettings = {
  mail: '',
  webhook: '',
  webhookFormat: 'json',
  command: '',
  user: 'off',
  sender: '',
  language: 'en',
  defaultDomain: '',
}

/** Below a root; what is logged is added to `logged`. */
export function surroundingsOf(root: string, logged: string[] = []): DeliverySurroundings {
  return {
    state: join(root, 'var/lib/univention-mtpolicyd'),
    etc: join(root, 'etc/univention-mtpolicyd'),
    hostName: 'mail.example.org',
    envelopeSender: (from, recipient, delimiter) =>
      delimiter === '' ? from : from.replace('@', `${delimiter}mtpolicyd-${recipient.length}@`),
    log: line => void logged.push(line),
  }
}

export interface ParsedMail {
  /** All header lines in their order, decoded. */
  readonly headers: ReadonlyArray<readonly [name: string, value: string]>
  readonly text: string
  /** What Python's parser finds wrong with it. */
  readonly defects: readonly string[]
  readonly from: ReadonlyArray<readonly [name: string, address: string]>
  readonly to: readonly string[]
  /** Seconds since 1970. */
  readonly date: number
}

const PARSER = `
import sys, json, email, email.policy
out = []
for text in json.load(sys.stdin):
    mail = email.message_from_bytes(text.encode('utf-8'), policy=email.policy.default)
    defects = [repr(d) for d in mail.defects]
    for value in mail.values(): defects += [repr(d) for d in value.defects]
    out.append(dict(
        headers=[[k, str(v)] for k, v in mail.items()],
        text=mail.get_content(), defects=defects,
        to=[a.addr_spec for a in mail['To'].addresses],
        **{'from': [[a.display_name, a.addr_spec] for a in mail['From'].addresses]},
        date=mail['Date'].datetime.timestamp()))
json.dump(out, sys.stdout)
`

export const parserMissing =
  spawnSync('python3', ['-c', 'import email.policy']).status === 0 ? false : 'python3 is missing'

export function parseMails(mails: readonly string[]): readonly ParsedMail[] {
  const input = JSON.stringify(mails)
  const output = execFileSync('python3', ['-c', PARSER], { input, maxBuffer: 1 << 26 })
  // Written by the program above.
  return JSON.parse(output.toString()) as ParsedMail[]
}

export function parseMail(mail: string): ParsedMail {
  const [parsed] = parseMails([mail])
  if (parsed === undefined) throw new Error('nothing was parsed')
  return parsed
}

export function headerOf({ headers }: ParsedMail, name: string): string | undefined {
  const found = headers.filter(([one]) => one.toLowerCase() === name.toLowerCase())
  if (found.length > 1) throw new Error(`${name} is there ${found.length} times`)
  return found[0]?.[1]
}
