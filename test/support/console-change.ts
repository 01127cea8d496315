/**
 * Logs in to a console and has it set a threshold, then one that is for the host alone, then takes the first back:
 * for scripts/test-systemd.sh, in the package's own node.
 *
 *   console-change.ts LINK THRESHOLD      LINK: what `mtpolicyctl web login` prints
 */

import { execFileSync } from 'node:child_process'

const [link = '', threshold = ''] = process.argv.slice(2)
const { origin, hash } = new URL(link)
let cookie = ''

async function post(path: string, body: unknown): Promise<{ status: number; text: string }> {
  const answer = await fetch(`${origin}/api/${path}`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      'x-requested-with': 'mtpolicyd',
      origin,
      cookie,
    },
    body: JSON.stringify(body),
  })
  cookie = answer.headers.getSetCookie()[0]?.split(';', 1)[0] ?? cookie
  return { status: answer.status, text: await answer.text() }
}

function expect(what: string, isTrue: boolean, found: unknown): void {
  if (isTrue) return
  process.stderr.write(`${what}: ${JSON.stringify(found)}\n`)
  process.exit(1)
}

const thresholdNow = (): string =>
  execFileSync('mtpolicyctl', ['get', 'mtpolicyd/threshold'], { encoding: 'utf8' }).trim()

const before = thresholdNow()
const login = await post('login', { token: hash.slice('#login='.length) })
expect('the login', login.status === 200, login)
const again = await post('login', { token: hash.slice('#login='.length) })
expect('the same link again', again.status === 403, again)
const set = await post('variables/set', { changes: { 'mtpolicyd/threshold': threshold } })
expect('a threshold', set.status === 200, set)
expect('the threshold that was set', thresholdNow() === threshold, thresholdNow())
const forbidden = await post('variables/set', { changes: { 'mtpolicyd/alert/command': '/bin/sh' } })
expect('a command', forbidden.status === 400, forbidden)
// The API's own answer.
const { change } = JSON.parse(set.text) as { readonly change: { readonly id: string } }
const undone = await post('variables/undo', { id: change.id })
expect('taking it back', undone.status === 200, undone)
expect('the threshold that was there before', thresholdNow() === before, thresholdNow())
