/**
 * Forms in which administrators have a log of Postfix: as other systems write it, as collectors save it,
 * as it comes out of a terminal. In each, one message of alice's with three recipients was accepted.
 */

import { utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { readRecords } from '../../daemon/replay/read-records.ts'
import type { Recorded } from '../../daemon/replay/record.ts'
import { logFiles } from '../../daemon/replay/rotation.ts'

const NOW = Date.UTC(2026, 11, 1, 12)
const LOCAL = new Date(2026, 10, 30, 20, 41, 2).getTime()
const ZONED = Date.UTC(2026, 10, 30, 19, 41, 2)
const RECEIVED = '2026-11-30T19:41:02.238986028Z'
const ESC = String.fromCharCode(0x1b)

interface Read {
  readonly records: readonly Recorded[]
  readonly damaged: number
  readonly unreadable: readonly string[]
}

async function read(t: Test, content: string | Buffer): Promise<Read> {
  const path = join(t.testdir(), 'log')
  writeFileSync(path, content)
  utimesSync(path, NOW / 1000, NOW / 1000)
  const records: Recorded[] = []
  const unreadable: string[] = []
  let damaged = 0
  for await (const portion of readRecords({
    files: await logFiles([path], NOW),
    damaged: () => damaged++,
    unreadable: (_, why) => unreadable.push(why),
    recognized: () => undefined,
  })) {
    records.push(...portion)
  }
  return { records, damaged, unreadable }
}

type Line = (program: string, text: string) => string

const ID = '6F419242229'
function written(line: Line, end = '\n'): string {
  return [
    ['submission/smtpd', `${ID}: client=c[198.51.100.7], sasl_method=PLAIN, sasl_username=alice`],
    ['cleanup', `${ID}: message-id=<1@example.org>`],
    ['qmgr', `${ID}: from=<alice@example.org>, size=362, nrcpt=3 (queue active)`],
    ['qmgr', `${ID}: removed`],
  ]
    .map(([program = '', text = '']) => line(program, text) + end)
    .join('')
}

const headed =
  (head: string): Line =>
  (program, text) =>
    `${head}postfix/${program}[12]: ${text}`
const plain = headed('Nov 30 20:41:02 mail ')

const FORMS: readonly (readonly [form: string, log: string | Buffer, at: number])[] = [
  ['Solaris', written((p, text) => plain(p, `[ID 197553 mail.info] ${text}`)), LOCAL],
  ['OpenWrt', written(headed('Mon Nov 30 20:41:02 2026 mail.info ')), LOCAL],
  ['AIX', written(headed('Nov 30 20:41:02 mail mail:info ')), LOCAL],
  ['syslogd -v of FreeBSD', written(headed('Nov 30 20:41:02 <mail.info> mail ')), LOCAL],
  ['syslogd -vv of FreeBSD', written(headed('Nov 30 20:41:02 <2.6> mail ')), LOCAL],
  ['facility and level for a host', written(headed('Nov 30 20:41:02 mail.info ')), LOCAL],
  ['no host', written(headed('Nov 30 20:41:02 ')), LOCAL],
  ['syslog-ng, year first', written(headed('2026 Nov 30 20:41:02 mail ')), LOCAL],
  ['syslog-ng, full date', written(headed('2026 Nov 30 20:41:02 +01:00 mail ')), ZONED],
  ['year in the middle', written(headed('Nov 30 2026 20:41:02 mail ')), LOCAL],
  ['year at the end', written(headed('Nov 30 20:41:02 2026 mail ')), LOCAL],
  ['date(1)', written(headed('Mon Nov 30 19:41:02 UTC 2026 mail ')), ZONED],
  ['a named zone', written(headed('Nov 30 19:41:02 UTC mail ')), ZONED],
  ['slashes', written(headed('2026/11/30 20:41:02 mail ')), LOCAL],
  ['journalctl -o short-iso', written(headed('2026-11-30T20:41:02+0100 mail ')), ZONED],
  ['journalctl -o short-full', written(headed('Mon 2026-11-30 20:41:02 CET mail ')), LOCAL],
  ['… --utc', written(headed('Mon 2026-11-30 19:41:02 UTC mail ')), ZONED],
  ['journalctl -o short-unix', written(headed(`${ZONED / 1000}.000000 mail `)), ZONED],
  ['docker compose', written(headed('postfix-mailcow-1  | Nov 30 20:41:02 mail ')), LOCAL],
  [
    'docker compose in colours',
    written(headed(`${ESC}[36mpostfix-1  | ${ESC}[0mNov 30 20:41:02 mail `)),
    LOCAL,
  ],
  [
    'docker in the journal',
    written(headed('Nov 30 21:00:00 big docker[45]: Nov 30 20:41:02 mail ')),
    LOCAL,
  ],
  [
    '… by the id of a container',
    written(headed('Nov 30 21:00:00 big 0a1b2c3d4e5f[45]: Nov 30 20:41:02 mail ')),
    LOCAL,
  ],
  ['kubectl logs --timestamps', written(headed(`${RECEIVED} Nov 30 20:41:02 mail `)), LOCAL],
  ['… of lines without a time', written(headed(`${RECEIVED} `)), ZONED + 239],
  ['kubectl logs --prefix', written(headed('[pod/mail-0/postfix] Nov 30 20:41:02 mail ')), LOCAL],
  [
    'logcli',
    written(headed('2026-11-30T20:42:09+01:00 {job="mail"} Nov 30 20:41:02 mail ')),
    LOCAL,
  ],
  ['grep -n', written((p, text) => `17:${plain(p, text)}`), LOCAL],
  [
    'grep --color',
    written((p, text) =>
      plain(p, text.replace('alice', `${ESC}[01;31m${ESC}[Kalice${ESC}[m${ESC}[K`)),
    ),
    LOCAL,
  ],
  ['a byte order mark', `\ufeff${written(plain)}`, LOCAL],
  ['Windows line ends', written(plain, '\r\n'), LOCAL],
  ['PowerShell', Buffer.from(`\ufeff${written(plain, '\r\n')}`, 'utf16le'), LOCAL],
  [
    'Loki',
    json((p, text) => ({ labels: { job: 'mail' }, line: plain(p, text), timestamp: RECEIVED })),
    LOCAL,
  ],
  ['Filebeat', json((p, text) => ({ '@timestamp': RECEIVED, message: plain(p, text) })), LOCAL],
  [
    'rsyslog in JSON',
    json((p, text) => ({
      '@timestamp': '2026-11-30T20:41:02+01:00',
      host: 'mail',
      syslogtag: `postfix/${p}[12]:`,
      message: ` ${text}`,
    })),
    ZONED,
  ],
  [
    'Fluent Bit',
    json((p, text) => ({
      date: ZONED / 1000,
      host: 'mail',
      ident: `postfix/${p}`,
      pid: '12',
      message: text,
    })),
    ZONED,
  ],
  [
    'Graylog',
    json((p, text) => ({ short_message: plain(p, text), timestamp: ZONED / 1000 })),
    LOCAL,
  ],
  [
    'a stream of the journal',
    json((p, text) => ({
      __REALTIME_TIMESTAMP: String(ZONED * 1000),
      _HOSTNAME: 'mail',
      SYSLOG_IDENTIFIER: `postfix/${p}`,
      MESSAGE: text,
    })).replaceAll(/^/gm, 'data: '),
    ZONED,
  ],
]

function json(fields: (program: string, text: string) => object): string {
  return written((program, text) => JSON.stringify(fields(program, text)))
}

for (const [form, log, at] of FORMS) {
  t.test(`an accepted message is found in this form: ${form}`, async t => {
    const { records, damaged, unreadable } = await read(t, log)
    t.strictSame({ damaged, unreadable }, { damaged: 0, unreadable: [] })
    t.strictSame(
      records.map(({ t, attributes }) => [
        t,
        attributes.get('sasl_username'),
        attributes.get('client_address'),
        attributes.get('recipient_count'),
      ]),
      [[at, 'alice', '198.51.100.7', '3']],
    )
  })
}

for (const [form, log] of [
  ['journalctl -o short-monotonic', written(headed('[12345.678901] mail '))],
  ['journalctl -o cat', written((_, text) => text)],
  ['the output of a container, without times', written(headed('postfix-1  | '))],
  ['a log of Exim', '2026-11-30 20:41:02 1abcde-000001-AB <= alice@example.org P=esmtpsa S=362\n'],
] as const) {
  t.test(`what cannot be read is shown beside what is expected: ${form}`, async t => {
    const { records, unreadable } = await read(t, log)
    t.strictSame(records, [])
    t.match(unreadable, [
      /^neither a trace nor a log of Postfix\. One of its lines is ".+"\. Expected are lines such as "Nov 30 /,
    ])
  })
}

for (const [what, head] of [
  ['another program', 'Nov 30 20:41:02 mail dovecot: login: user=<Nov 30 20:41:02 mail '],
  ['a program without a tag', 'Nov 30 20:41:02 mail so says '],
  ['a line without its beginning', 'ov 30 20:41:02 mail '],
] as const) {
  t.test(`a line of Postfix inside of a line is none: ${what}`, async t => {
    const { records } = await read(t, written(headed(head)))
    t.strictSame(records, [])
  })
}
