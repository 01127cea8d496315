/** One HTTP POST, over TLS; what is said without it is in test/plugins/peers.test.ts. */

import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { httpPost } from '../../daemon/lookup/http-post.ts'
import { makeCertificates } from '../support/certificates.ts'

const skip = spawnSync('openssl', ['version']).status === 0 ? false : 'openssl is not installed'
const { signal } = new AbortController()

/** The URL of a server that answers with what it was sent. */
async function secureServer(t: Test, pem = ''): Promise<string> {
  const server = createServer({ key: pem, cert: pem }, (request, response) => {
    request.pipe(response)
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  // Listening on a port.
  return `https://127.0.0.1:${(server.address() as AddressInfo).port}/`
}

t.test('https, with a certificate that the system trusts', { skip }, async t => {
  const { authority, servers } = makeCertificates('IP:127.0.0.1', 'IP:127.0.0.2')
  // Read when the first certificate is checked.
  process.env.SSL_CERT_FILE = join(t.testdir({ 'authority.pem': authority }), 'authority.pem')
  const post = (url: string) => httpPost(url, 'a=1', 'text/plain', signal)
  t.strictSame(await post(await secureServer(t, servers[0])), { status: 200, body: 'a=1' })
  const misnamed = await secureServer(t, servers[1])
  await t.rejects(post(misnamed), { name: 'LookupError', message: /does not match/ })
  const stranger = await secureServer(t, makeCertificates('IP:127.0.0.1').servers[0])
  await t.rejects(post(stranger), { name: 'LookupError', message: /self-signed|unable to verify/ })
})

t.test('a request whose time has run out is not sent', async t => {
  const asked = httpPost('http://127.0.0.1:9/', '', 'text/plain', AbortSignal.abort())
  await t.rejects(asked, { name: 'LookupError', message: 'http://127.0.0.1:9: no answer in time' })
})
