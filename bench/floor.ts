/**
 * The floor: the least a Node daemon must do to count durably before it answers. It finds the user
 * and adds one, in SQLite (WAL), all requests of one turn of the event loop in one transaction. No
 * countries, no limits, no memory of messages, no log. Prints its port.
 *
 *   floor.ts DATABASE USERS [normal|full]
 */

import { type AddressInfo, createServer, type Socket } from 'node:net'
import Database from 'better-sqlite3'

const [, , path = '', users = '0', durability = 'normal'] = process.argv
const ANSWER = 'action=dunno\n\n'
const ATTRIBUTE = '\nsasl_username='

const db = new Database(path)
db.pragma('journal_mode = WAL')
db.pragma(`synchronous = ${durability === 'full' ? 'FULL' : 'NORMAL'}`)
db.exec('CREATE TABLE usage (account TEXT PRIMARY KEY, used INTEGER NOT NULL) WITHOUT ROWID')
const begin = db.prepare('BEGIN IMMEDIATE')
const commit = db.prepare('COMMIT')
const add = db.prepare<[string], number>(
  'INSERT INTO usage VALUES (?, 1) ON CONFLICT DO UPDATE SET used = used + 1',
)
const put = db.prepare<[string]>('INSERT INTO usage VALUES (?, 0)')
begin.run()
for (let user = 0; user < Number(users); user++) {
  put.run(`user${String(user).padStart(5, '0')}@mail.example.org`)
}
commit.run()

let waiting: { readonly socket: Socket; readonly account: string }[] = []

function answerAll(): void {
  const leaving = waiting
  waiting = []
  begin.run()
  for (const { account } of leaving) add.run(account)
  commit.run()
  for (const { socket } of leaving) socket.write(ANSWER)
}

const server = createServer({ noDelay: true }, socket => {
  let unfinished: Buffer = Buffer.alloc(0)
  socket.on('error', () => socket.destroy())
  socket.on('data', (chunk: Buffer) => {
    const bytes = unfinished.length === 0 ? chunk : Buffer.concat([unfinished, chunk])
    let start = 0
    for (let end = bytes.indexOf('\n\n'); end >= 0; end = bytes.indexOf('\n\n', start)) {
      const from = bytes.indexOf(ATTRIBUTE, start) + ATTRIBUTE.length
      const account = bytes.toString('latin1', from, bytes.indexOf(10, from))
      if (waiting.push({ socket, account }) === 1) setImmediate(answerAll)
      start = end + 2
    }
    unfinished = bytes.subarray(start)
  })
})

server.listen(0, '127.0.0.1', () => {
  // A TCP server has an address with a port.
  process.stdout.write(`${(server.address() as AddressInfo).port}\n`)
})
