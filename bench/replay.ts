/**
 * Requests as the load generator (load.c) sends them, as a trace, and how fast `mtpolicyctl replay` answers
 * them, from its start to its end.
 */

import { execFileSync } from 'node:child_process'
import { closeSync, openSync, readFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'

/** Some seconds of work, so that the start of the program does not count much. */
const REQUESTS = 300_000
const CONNECTIONS = 16
/** Written at once. */
const TOGETHER = 1000

export function writeTrace(path: string, addresses: readonly string[], users: number): void {
  const file = openSync(path, 'w')
  const began = Date.now()
  for (let from = 0; from < REQUESTS; from += TOGETHER) {
    const lines = Array.from({ length: TOGETHER }, (_, i) =>
      lineOf(from + i, began, addresses, users),
    )
    writeSync(file, lines.join(''))
  }
  closeSync(file)
}

function lineOf(at: number, began: number, addresses: readonly string[], users: number): string {
  // A fixed sequence, spread over all users and addresses (Knuth's multiplier).
  const random = (at * 2_654_435_761) % 2 ** 32
  const user = String(random % users).padStart(5, '0')
  const host = `host-${user}.dynamic-ip.customers.pool.example.net`
  const login = `user${user}@mail.example.org`
  const connection = at % CONNECTIONS
  const request = {
    request: 'smtpd_access_policy',
    protocol_state: 'END-OF-MESSAGE',
    protocol_name: 'ESMTP',
    client_address: addresses[random % addresses.length],
    client_name: host,
    client_port: String(1024 + (random % 60_000)),
    reverse_client_name: host,
    server_address: '192.0.2.25',
    server_port: '587',
    helo_name: `[192.168.178.${random % 250}]`,
    sender: login,
    recipient: '',
    recipient_count: '1',
    queue_id: at.toString(16).toUpperCase().padStart(11, '0'),
    instance: `${at.toString(16)}.${connection}.1.0`,
    size: String(500 + (random % 200_000)),
    etrn_domain: '',
    stress: '',
    sasl_method: 'PLAIN',
    sasl_username: login,
    sasl_sender: '',
    ccert_subject: '',
    ccert_issuer: '',
    ccert_fingerprint: '',
    ccert_pubkey_fingerprint: '',
    encryption_protocol: 'TLSv1.3',
    encryption_cipher: 'TLS_AES_256_GCM_SHA384',
    encryption_keysize: '256',
    policy_context: '',
  }
  return `${JSON.stringify({ t: began + at, conn: `c${connection}`, request })}\n`
}

/** Requests per second. `root`: with the policy to replay by. Throws if not each is answered, and lets pass. */
export function replayTrace(dist: string, root: string, trace: string): number {
  const answers = join(root, 'replayed.jsonl')
  const file = openSync(answers, 'w')
  const began = performance.now()
  try {
    execFileSync(join(dist, 'mtpolicyctl'), ['--root', root, 'replay', '--json', trace], {
      stdio: ['ignore', file, 'inherit'],
    })
  } finally {
    closeSync(file)
  }
  const seconds = (performance.now() - began) / 1000
  const passed = readFileSync(answers, 'latin1').split('"action":"dunno"').length - 1
  if (passed !== REQUESTS) throw new Error(`replay: ${passed} of ${REQUESTS} requests passed`)
  return REQUESTS / seconds
}
