import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Fault, Scene } from './fault.ts'

/** Debian's package faketime: the process sees another wall clock, which a file sets. */
const LIBRARY = '/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1'

const missing = (): string | undefined =>
  existsSync(LIBRARY) ? undefined : `${LIBRARY} is missing (package faketime)`

const fileOf = ({ root }: Scene): string => join(root, 'clock')

function prepare(scene: Scene, time: string): void {
  writeFileSync(fileOf(scene), time)
  Object.assign(scene.env, {
    LD_PRELOAD: LIBRARY,
    FAKETIME_TIMESTAMP_FILE: fileOf(scene),
    FAKETIME_NO_CACHE: '1',
    FAKETIME_DONT_FAKE_MONOTONIC: '1',
  })
}

const clockFault = (name: string, from: string, to: string): Fault => ({
  name,
  mostDelay: 50,
  missing,
  prepare: scene => prepare(scene, from),
  async strike(scene) {
    writeFileSync(fileOf(scene), to)
    await sleep(scene.isShort ? 300 : 2000)
  },
})

export const clockBack = clockFault('clock back 1 h', '+0', '-1h')
export const clockForward = clockFault('clock forward 1 day', '+0', '+1d')

/** The night in which 03:00 becomes 02:00 again, lived through from a moment before. */
export const clockChange: Fault = {
  ...clockFault('DST night in Europe/Berlin', '@2026-10-25 02:59:57', '@2026-10-25 02:59:57'),
  variables: { 'mtpolicyd/timezone': 'Europe/Berlin' },
  env: { TZ: 'Europe/Berlin' },
  async strike({ isShort }) {
    await sleep(isShort ? 2000 : 5000)
  },
}
