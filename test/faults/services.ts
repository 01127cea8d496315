import { setTimeout as sleep } from 'node:timers/promises'
import { serverMissing, startServer } from '../../scripts/test-servers.ts'
import { type DnsZone, startDnsServer } from '../support/dns-server.ts'
import type { Fault, Scene } from './fault.ts'

/** Knows no name, until it says nothing at all. */
async function mortalDns({ env, later }: Scene): Promise<void> {
  isDead = false
  const zone = new Proxy<DnsZone>({}, { get: () => (isDead ? 'DROP' : undefined) })
  const dns = await startDnsServer(zone, { ttl: 1 })
  later(() => dns.close())
  Object.assign(env, dns.env)
}

let isDead = false

export const dnsDead: Fault = {
  name: 'DNS dead',
  mostDelay: 50,
  prepare: mortalDns,
  async strike({ isShort }) {
    isDead = true
    await sleep(isShort ? 100 : 1000)
  },
}

const DEADLINE_SECONDS = 1

/** The first questions wait for their deadline; then the list is passed over. */
export const dnsDeadWithList: Fault = {
  name: 'DNS dead, policy with a block list',
  mostDelay: DEADLINE_SECONDS * 1000 + 50,
  prepare: mortalDns,
  config: ({ port }) => `port = ${port}
log_level = 1
dns_timeout = ${DEADLINE_SECONDS}
<VirtualHost ${port}>
  name = mail
  <Plugin list>
    module = RBL
    domain = "list.example"
  </Plugin>
  <Plugin limit>
    module = SendingLimit
    threshold = 1000000
  </Plugin>
</VirtualHost>
`,
  async strike({ isShort }) {
    isDead = true
    await sleep(isShort ? 100 : 2000)
  },
  after: async ({ logged }) =>
    (await logged(/list\.example/)) ? undefined : 'nobody said that the list is silent',
}

export const storeGone: Fault = {
  name: 'store server gone (Redis sessions)',
  mostDelay: 50,
  missing: () => serverMissing('redis') || undefined,
  async prepare({ later }) {
    const redis = await startServer('redis')
    later(() => redis.remove())
    redisPort = redis.port
    stopRedis = () => redis.stop()
  },
  config: ({ port }) => `port = ${port}
log_level = 1
<Connection redis>
  module = Redis
  server = "127.0.0.1:${redisPort}"
</Connection>
<SessionCache>
  module = Redis
</SessionCache>
<VirtualHost ${port}>
  name = mail
  <Plugin limit>
    module = SendingLimit
    threshold = 1000000
  </Plugin>
</VirtualHost>
`,
  async strike({ isShort }) {
    await stopRedis()
    await sleep(isShort ? 200 : 2000)
  },
}

let redisPort = 0
let stopRedis = async (): Promise<void> => undefined
