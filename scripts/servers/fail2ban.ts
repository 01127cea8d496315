/**
 * fail2ban-server with two jails: postfix, whose action is a line in `banned`, and other, which
 * only remembers. It reads no log and asks no DNS.
 */

import type { Place, ServerKind } from './server.ts'

const FILES = {
  'config/fail2ban.conf': `[Definition]
loglevel = INFO
logtarget = STDERR
syslogsocket = auto
dbfile = None
dbpurgeage = 1d
dbmaxmatches = 10
`,
  'config/jail.conf': `[DEFAULT]
enabled = true
backend = polling
usedns = no
ignoreself = false
filter = nothing
bantime = 1h
findtime = 1h
maxretry = 3

[postfix]
`,
  'config/filter.d/nothing.conf':
    '[Definition]\nfailregex = ^nothing from <HOST>$\nignoreregex =\n',
  'config/action.d/note.conf': '[Definition]\nactionban = echo <ip> >> <file>\nactionunban =\n',
  'mail.log': '',
}

export const fail2ban: ServerKind = {
  package: 'fail2ban',
  programs: ['fail2ban-server', 'fail2ban-client'],
  user: 'nobody',

  async prepare({ folder, write }) {
    for (const [name, content] of Object.entries(FILES)) write(name, content)
    const lines = [
      ...['[DEFAULT]', `logpath = ${folder}/mail.log`],
      ...['[postfix]', `action = note[file="${folder}/banned"]`],
      ...['[other]', 'action ='],
    ]
    write('config/jail.local', `${lines.join('\n')}\n`)
  },

  command: ({ folder, socket, program }) => [
    program('fail2ban-server'),
    ...['-f', '-c', `${folder}/config`, '-s', socket, '-p', `${folder}/pid`],
  ],

  isReady: place =>
    askFail2ban(place, 'status', 'other').then(
      () => true,
      () => false,
    ),
}

/** What fail2ban-client prints. */
export function askFail2ban({ socket, program, run }: Place, ...words: string[]): Promise<string> {
  return run(program('fail2ban-client'), '-s', socket, ...words)
}
