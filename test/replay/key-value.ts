/** Looks into memcached and Redis without the daemon's own clients. */

import { execFile } from 'node:child_process'
import { connect } from 'node:net'
import { promisify } from 'node:util'

/** As memcached's own tools would, by its text protocol. */
export async function setMemcachedKey(port: number, key: string, value: string): Promise<void> {
  const reply = await askMemcached(port, `set ${key} 0 0 ${Buffer.byteLength(value)}\r\n${value}`)
  if (reply !== 'STORED\r\n') throw new Error(`memcached does not store ${key}: ${reply}`)
}

export async function hasMemcachedKey(port: number, key: string): Promise<boolean> {
  return (await askMemcached(port, `get ${key}`)).startsWith('VALUE ')
}

/** Everything it says before it closes. */
function askMemcached(port: number, command: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1')
    let heard = ''
    socket.setEncoding('utf8').on('data', (text: string) => {
      heard += text
    })
    socket.on('error', reject).on('close', () => resolve(heard))
    socket.write(`${command}\r\nquit\r\n`)
  })
}

/** What redis-cli prints. */
export async function redisCli(port: number, command: readonly string[]): Promise<string> {
  const { stdout } = await promisify(execFile)('redis-cli', ['-p', String(port), ...command])
  return stdout.trim()
}
