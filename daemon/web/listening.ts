/**
 * Where the console listens. An address that cannot be had is tried again now and then: its owner may be
 * restarting. On `localhost` it listens at both loopbacks, because a browser may take either.
 */

import { lstatSync, rmSync } from 'node:fs'
import type { Server } from 'node:http'
import { connect, type ListenOptions } from 'node:net'
import { dirname } from 'node:path'
import { formatEndpoint } from '../net/endpoint.ts'
import { describeOwner, freePortAfter, listenersInTheWay, ownerOf } from '../net/listeners.ts'
import { isLocalhost, listenAddresses, reachableAddress } from '../net/loopback.ts'
import { ownInterfaces } from '../net/own-interfaces.ts'
import type { WebSettings } from '../run/web-messages.ts'
import { describeError } from '../system/errors.ts'

/** As open as a port of localhost is: the browser has to log in. */
const PIPE = { readableAll: true, writableAll: true }
const BACKLOG = 511

export const isPath = (host: string): boolean => host.startsWith('/')

/** What a browser is told to open, without the prefix. */
export function addressOf({ host, port, names }: WebSettings): string {
  const [proxy] = names
  if (proxy !== undefined) return `https://${proxy}`
  if (isPath(host)) return host
  const plain = host.replace(/^\[(.*)\]$/, '$1')
  const name = isLocalhost(plain) ? 'localhost' : shownAddress(listenAddresses(plain)[0] ?? plain)
  return `http://${name.includes(':') ? `[${name}]` : name}:${port}`
}

/** A wildcard stands for all addresses of this host: one that others can reach. */
function shownAddress(address: string): string {
  if (reachableAddress(address) === address) return address
  const family = address.includes(':') ? 'IPv6' : 'IPv4'
  const reached = ownInterfaces().find(one => one.family === family && !one.internal)
  return reached?.address ?? reachableAddress(address)
}

/** Resolves to the servers that listen; rejects with a message for the operator, and none listens. */
export async function listenAt(
  settings: WebSettings,
  makeServer: () => Server,
): Promise<readonly Server[]> {
  const { host, port } = settings
  if (isPath(host)) {
    await clearPath(host)
    return [await listen(makeServer(), { path: host, ...PIPE }, settings)]
  }
  const servers: Server[] = []
  for (const address of listenAddresses(host)) {
    try {
      servers.push(await listen(makeServer(), { host: address, port, backlog: BACKLOG }, settings))
    } catch (error) {
      // A host may have one loopback only.
      const isAbsent = isLocalhost(host) && error instanceof Absent && servers.length > 0
      if (isAbsent) continue
      for (const server of servers) server.close()
      throw error
    }
  }
  return servers
}

/** No interface has the address. */
class Absent extends Error {
  override readonly name = 'Absent'
}

function listen(server: Server, at: ListenOptions, settings: WebSettings): Promise<Server> {
  return new Promise((resolve, reject) => {
    server.once('error', error => reject(explained(error, at, settings)))
    server.listen(at, () => {
      server.removeAllListeners('error')
      // Such as descriptors that are used up: those that wait come later.
      server.on('error', () => undefined)
      resolve(server)
    })
  })
}

function explained(error: Error, { host = '', port = 0 }: ListenOptions, settings: WebSettings) {
  const code = 'code' in error ? error.code : ''
  if (isPath(settings.host)) {
    const hint = 'a folder that the daemon may write to is /run/univention-mtpolicyd'
    const { host: path } = settings
    return new Error(`cannot listen at ${path} (${describeError(error)}); ${hint}`)
  }
  const name = formatEndpoint({ kind: 'tcp', host, port })
  switch (code) {
    case 'EADDRINUSE': {
      const owner = describeOwner(ownerOf(listenersInTheWay({ host, port })))
      const free = freePortAfter(port)
      const hint =
        free === undefined ? '' : `; a free port: mtpolicyctl set mtpolicyd/web/port=${free}`
      return new Error(`${name} is in use by ${owner}${hint}`)
    }
    case 'EACCES':
      return new Error(
        `the daemon may not use port ${port}; one above 1023: mtpolicyctl set mtpolicyd/web/port=8025`,
      )
    case 'EADDRNOTAVAIL':
    case 'EAFNOSUPPORT':
      return new Absent(
        `this host does not have the address ${host}; to use another: mtpolicyctl set mtpolicyd/web/host=localhost`,
      )
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return new Error(
        `the name ${host} has no address; to use another: mtpolicyctl set mtpolicyd/web/host=localhost`,
      )
    default:
      return new Error(`cannot listen at ${name}: ${describeError(error)}`)
  }
}

/** A socket that a former process has left is removed; anything else is not touched. */
async function clearPath(path: string): Promise<void> {
  const found = lstatSync(path, { throwIfNoEntry: false })
  if (!found) return
  if (!found.isSocket()) {
    throw new Error(`${path} exists and is not a socket; name another file in ${dirname(path)}`)
  }
  if (await isServed(path)) throw new Error(`another program listens at ${path}`)
  rmSync(path, { force: true })
}

function isServed(path: string): Promise<boolean> {
  return new Promise(resolve => {
    const probe = connect(path)
    probe.once('connect', () => {
      probe.destroy()
      resolve(true)
    })
    probe.once('error', () => resolve(false))
  })
}
