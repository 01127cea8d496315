/** Another policy service that stops answering: whose time that costs. */

import t from 'tap'
import { policyService } from '../../daemon/lookup/policy-service.ts'
import { peerServer } from '../support/peer-server.ts'
import { virtualClock } from '../support/virtual-clock.ts'

const REQUEST = new Map([['request', 'smtpd_access_policy']])

t.test('a silent policy service costs one request its time, then none', async t => {
  let isSilent = true
  const server = await peerServer(socket => {
    socket.on('data', () => {
      if (!isSilent) socket.write('action=dunno\n\n')
    })
  })
  t.teardown(() => server.close())
  const clock = virtualClock()
  const service = policyService({ host: `127.0.0.1:${server.port}` }, true, clock)
  t.teardown(() => service.close())

  /** With `milliseconds` left of the request's time. */
  function ask(milliseconds: number): Promise<string> {
    const limit = new AbortController()
    clock.after(milliseconds, () => limit.abort())
    return service.ask(REQUEST, limit.signal).catch(String)
  }

  const hurried = ask(200)
  await clock.advance(200)
  t.match(await hurried, /LookupError: 127\.0\.0\.1:\d+: no answer in time$/)
  const first = ask(4000)
  await clock.advance(4000)
  t.match(await first, /no answer in time$/, 'asked: 0.2 s had told nothing')
  t.match(await ask(4000), /no answer in time; not tried again for 8 s$/)
  await clock.advance(8000)
  const probe = ask(4000)
  t.match(await ask(4000), /another request is checking/)
  await clock.advance(4000)
  t.match(await probe, /no answer in time$/)
  isSilent = false
  await clock.advance(8000)
  t.equal(await ask(4000), 'dunno')
  t.strictSame(await Promise.all([ask(4000), ask(4000)]), ['dunno', 'dunno'])
})

t.test('one that cannot be reached is tried again in a moment', async t => {
  const server = await peerServer(() => undefined)
  const { port } = server
  await server.close()
  const clock = virtualClock()
  const service = policyService({ host: `127.0.0.1:${port}` }, false, clock)
  const ask = () => service.ask(REQUEST, new AbortController().signal).catch(String)
  t.match(await ask(), /ECONNREFUSED/)
  t.match(await ask(), /ECONNREFUSED.*; not tried again for 0\.2 s$/)
  await clock.advance(200)
  t.match(await ask(), /ECONNREFUSED[^;]*$/)
  service.close()
  t.match(await ask(), /has been closed$/)
})
