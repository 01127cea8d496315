import { execFileSync } from 'node:child_process'
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Fault, Scene } from './fault.ts'

/** Connections that say nothing, or what they are told to. */
async function open({ port, later }: Scene, count: number): Promise<Socket[]> {
  const sockets: Socket[] = []
  later(() => {
    for (const socket of sockets) socket.destroy()
  })
  for (let i = 0; i < count; i++) {
    const socket = connect(port, '127.0.0.1')
    socket.on('error', () => undefined)
    sockets.push(socket)
    // In batches: the kernel's queue of new connections is not the thing that is measured.
    if (i % 50 === 49) await sleep(5)
  }
  return sockets
}

export const manyConnections: Fault = {
  name: '10,000 connections',
  mostDelay: 50,
  async strike(scene) {
    const sockets = await open(scene, scene.isShort ? 500 : 10_000)
    await sleep(500)
    still = sockets.filter(socket => !socket.destroyed).length / sockets.length
  },
  after: () => (still === 1 ? undefined : `${Math.round(still * 100)} % of them stayed open`),
}

let still = 0

export const noDescriptors: Fault = {
  name: 'file descriptors exhausted',
  mostDelay: 50,
  async strike(scene) {
    const { pid } = scene
    const limit = (most: string): unknown =>
      execFileSync('prlimit', ['--pid', String(pid), `--nofile=${most}`])
    limit('60:20000')
    await open(scene, 200)
    await sleep(scene.isShort ? 300 : 2000)
    limit('20000:20000')
  },
}

export const hugeRequest: Fault = {
  name: '1 MB request',
  mostDelay: 50,
  async strike(scene) {
    const sockets = await open(scene, 5)
    for (const socket of sockets) socket.write(`sender=${'x'.repeat(1 << 20)}\n\n`)
    await sleep(500)
    closed = sockets.filter(socket => socket.destroyed).length
  },
  after: () => (closed === 5 ? undefined : `${5 - closed} of the five are still connected`),
}

let closed = 0

export const slowWriter: Fault = {
  name: 'slow writer (1 byte/s)',
  mostDelay: 50,
  async strike(scene) {
    const sockets = await open(scene, 50)
    for (const byte of scene.isShort ? 'r' : 'reques') {
      for (const socket of sockets) socket.write(byte)
      await sleep(scene.isShort ? 100 : 1000)
    }
  },
}

export const deafReader: Fault = {
  name: 'reader that never reads',
  mostDelay: 50,
  async strike(scene) {
    const sockets = await open(scene, 5)
    const request = `request=smtpd_access_policy\nsender=${'x'.repeat(100)}\n\n`.repeat(200)
    for (const socket of sockets) socket.pause()
    for (let time = 0; time < (scene.isShort ? 20 : 200); time++) {
      for (const socket of sockets) if (socket.writableLength < 1 << 20) socket.write(request)
      await sleep(10)
    }
  },
}
