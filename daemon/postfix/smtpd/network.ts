/**
 * This host as one of its smtpd processes sees it: names, its own addresses, ports.
 *
 * A chrooted smtpd has its own /etc: names are looked up in the hosts file there, then through the
 * DNS servers in its resolv.conf. While Postfix is not running, that copy may be missing or
 * outdated, because it is made at startup; so the host's own files are used.
 */

import { Resolver } from 'node:dns/promises'
import fs from 'node:fs'
import { isIP } from 'node:net'
import path from 'node:path'
import { isLoopbackAddress } from '../../net/loopback.ts'
import { ownInterfaces } from '../../net/own-interfaces.ts'
import type { PostfixInstance, SmtpdService } from './instance.ts'
import { policyItems } from './policy-item.ts'
import { tokenise } from './restriction-list.ts'

export interface Network {
  /** The addresses of a name, as this service resolves it; an address stands for itself. */
  addressesOf(service: SmtpdService, host: string): readonly string[]
  /** A port by its number or its name in services(5); NaN: there is no such name. */
  portOf(service: SmtpdService, port: string): number
  /** Is it a loopback address, or one of this host's interfaces? */
  isThisHost(address: string): boolean
}

const DNS_MILLISECONDS = 500

/** Resolves every name that an item of the instance may have to connect to. */
export async function lookUp(instance: PostfixInstance): Promise<Network> {
  const names = new Map<string, readonly string[]>()
  const keyOf = (service: SmtpdService, host: string) =>
    `${etcOf(instance, service)} ${host.toLowerCase()}`
  await Promise.all(
    instance.services.flatMap(service =>
      [...namesOf(service, instance.version)].map(async host => {
        const key = keyOf(service, host)
        if (names.has(key)) return
        names.set(key, [])
        names.set(key, await addressesOf(etcOf(instance, service), host))
      }),
    ),
  )
  return {
    addressesOf: (service, host) =>
      isIP(host) === 0 ? (names.get(keyOf(service, host)) ?? []) : [host],
    portOf: (service, port) =>
      /^\d+$/.test(port)
        ? Number(port)
        : servicePort(path.join(etcOf(instance, service), 'services'), port),
    isThisHost,
  }
}

/** The directory of this smtpd's hosts and resolv.conf. */
function etcOf({ isRunning, queueDirectory }: PostfixInstance, service: SmtpdService): string {
  return service.isChrooted && isRunning ? path.join(queueDirectory, 'etc') : '/etc'
}

function namesOf({ parameters }: SmtpdService, version: string): Set<string> {
  const classes = tokenise(parameters.value('smtpd_restriction_classes')).map(({ text }) => text)
  const lists = ['client', 'helo', 'sender', 'relay', 'recipient', 'data', 'end_of_data']
  const names = [...lists.map(list => `smtpd_${list}_restrictions`), ...classes]
  const items = names.flatMap(name => policyItems(parameters.value(name), version))
  return new Set(
    items.flatMap(({ server }) =>
      server.kind === 'inet' && isIP(server.host) === 0 ? [server.host] : [],
    ),
  )
}

async function addressesOf(etc: string, host: string): Promise<string[]> {
  const known = hostsFile(path.join(etc, 'hosts'), host)
  if (known.length > 0) return known
  const resolver = new Resolver({ timeout: DNS_MILLISECONDS, tries: 1 })
  const servers = nameServers(path.join(etc, 'resolv.conf'))
  try {
    resolver.setServers(servers)
  } catch {
    // A server with a scope id, or none: keep what Node read from the host's own file.
  }
  const answers = await Promise.allSettled([resolver.resolve4(host), resolver.resolve6(host)])
  return answers.flatMap(answer => (answer.status === 'fulfilled' ? answer.value : []))
}

function hostsFile(file: string, host: string): string[] {
  return readLines(file).flatMap(line => {
    const [address = '', ...names] = line.replace(/#.*/, '').trim().split(/\s+/)
    const isIt = names.some(name => name.toLowerCase() === host.toLowerCase())
    return isIt && isIP(address) !== 0 ? [address] : []
  })
}

function servicePort(file: string, name: string): number {
  const ports = readLines(file).flatMap(line => {
    const [first, port = '', ...aliases] = line.replace(/#.*/, '').trim().split(/\s+/)
    const isIt = [first, ...aliases].includes(name)
    return isIt ? (/^(\d+)\/tcp$/.exec(port)?.[1] ?? []) : []
  })
  return Number(ports[0] ?? Number.NaN)
}

function nameServers(file: string): string[] {
  const found = readLines(file).flatMap(line => /^nameserver\s+(\S+)/.exec(line)?.[1] ?? [])
  return found.length > 0 ? found : ['127.0.0.1']
}

function readLines(file: string): string[] {
  try {
    return fs.readFileSync(file, 'latin1').split('\n')
  } catch {
    return []
  }
}

function isThisHost(address: string): boolean {
  if (isLoopbackAddress(address) || address === '0.0.0.0' || address === '::') return true
  return ownAddresses().includes(address)
}

function ownAddresses(): string[] {
  return ownInterfaces().map(({ address }) => address)
}
