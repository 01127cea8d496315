/**
 * The console's thread, there only while `web_port` is set. It knows the daemon by its control socket alone,
 * so it can hold up nothing; should it fail, it is started again (run/web-console.ts).
 */

import { existsSync } from 'node:fs'
import type { Server } from 'node:http'
import { join } from 'node:path'
import { type MessagePort, parentPort, workerData } from 'node:worker_threads'
import {
  type FromWebThread,
  SESSIONS_FILE,
  type ToWebThread,
  type WebNews,
  type WebQuestion,
  type WebStart,
} from '../run/web-messages.ts'
import { systemClock as clock } from '../system/clock.ts'
import { describeError } from '../system/errors.ts'
import { giveWay } from '../system/give-way.ts'
import { rateLimited } from '../system/rate-limited.ts'
import { Assets } from './assets.ts'
import { Attempts } from './attempts.ts'
import { daemonAt } from './daemon.ts'
import { addressOf, isPath, listenAt } from './listening.ts'
import { loginRoutes } from './login.ts'
import { LINK_MILLISECONDS, LoginLinks } from './login-links.ts'
import { type Role, Router } from './router.ts'
import { apiRoutes } from './routes/index.ts'
import { makeServer, sharedConnections } from './server.ts'
import { Sessions } from './sessions.ts'
import { Site } from './site.ts'
import { Tokens } from './tokens.ts'

/** The answers to requests come first: this thread gets what they leave over. */
const NICE = 10
/** An address that could not be had is tried again after so long. */
const AGAIN_MILLISECONDS = 10_000

/** Beside the bundle, or where the sources' build puts it. */
const beside = join(import.meta.dirname, 'web')
const page = existsSync(beside) ? beside : join(import.meta.dirname, '../../dist/web')

class WebThread {
  readonly #port: MessagePort
  readonly #start: WebStart
  readonly #tokens: Tokens
  readonly #sessions: Sessions
  readonly #links = new LoginLinks(clock.now)
  readonly #site: Site
  readonly #connections = sharedConnections()
  #servers: readonly Server[] = []
  #problem: string | undefined
  /** The first try to listen has ended. */
  readonly #tried = Promise.withResolvers<void>()
  #isClosing = false

  constructor(port: MessagePort, start: WebStart) {
    this.#port = port
    this.#start = start
    const { paths, settings } = start
    const log = (line: string): void => this.#say({ kind: 'log', level: 'event', line })
    const warn = (line: string): void => this.#say({ kind: 'log', level: 'warning', line })
    const logFailure = rateLimited(clock, warn)
    const daemon = daemonAt(paths.control, clock)
    this.#tokens = new Tokens({
      path: join(paths.state, 'web-tokens.json'),
      now: clock.now,
      log: warn,
    })
    this.#sessions = new Sessions({
      path: join(paths.state, SESSIONS_FILE),
      now: clock.now,
      log: warn,
    })
    const doors = {
      tokens: this.#tokens,
      sessions: this.#sessions,
      attempts: new Attempts(clock.now),
    }
    const routes = [
      ...loginRoutes({ ...doors, links: this.#links, log, logFailure }),
      ...apiRoutes({ daemon, paths, clock, log }),
    ]
    this.#site = new Site({
      ...doors,
      settings,
      router: new Router(routes),
      daemon,
      assets: new Assets(page),
      clock,
      logFailure,
    })
    port.on('message', (message: ToWebThread) => void this.#receive(message))
  }

  async run(): Promise<void> {
    const { settings } = this.#start
    while (!this.#isClosing) {
      try {
        this.#servers = await listenAt(settings, () => makeServer(this.#site, this.#connections))
        this.#listens(undefined)
        if (this.#isClosing) this.#closeServers()
        return
      } catch (error) {
        this.#listens(describeError(error))
      }
      await clock.sleep(AGAIN_MILLISECONDS)
    }
  }

  /** Told when it changes. */
  #listens(problem: string | undefined): void {
    const isFirst = problem === undefined || problem !== this.#problem
    this.#problem = problem
    this.#tried.resolve()
    const { settings } = this.#start
    if (isFirst)
      this.#say({ kind: 'state', address: `${addressOf(settings)}${settings.path}`, problem })
  }

  async #receive(message: ToWebThread): Promise<void> {
    if (message.kind === 'close') {
      this.#close()
      return
    }
    const { id, question } = message
    try {
      this.#say({ kind: 'answer', id, value: await this.#answer(question) })
    } catch (error) {
      this.#say({ kind: 'failure', id, message: describeError(error) })
    }
  }

  async #answer(question: WebQuestion): Promise<unknown> {
    switch (question.what) {
      case 'login':
        await this.#tried.promise
        if (this.#problem !== undefined) throw new Error(`no web console: ${this.#problem}`)
        return this.#link(question.role, question.by)
      case 'tokens':
        return this.#tokens.list()
      case 'token add':
        return this.#tokens.add(question.name, question.role)
      case 'token remove':
        this.#tokens.remove(question.name)
        this.#sessions.endOfToken(question.name)
        return {}
    }
  }

  #link(role: string, by: string) {
    const known = (['read', 'change'] satisfies Role[]).find(one => one === role)
    if (!known) throw new Error('a role is one of read, change')
    const { settings } = this.#start
    if (isPath(settings.host) && settings.names.length === 0) {
      throw new Error(
        `by which name does a proxy show ${settings.host}? mtpolicyctl set mtpolicyd/web/names=NAME`,
      )
    }
    const secret = this.#links.make({ role: known, name: by })
    return {
      url: `${addressOf(settings)}${settings.path}/#login=${secret}`,
      minutes: LINK_MILLISECONDS / 60_000,
    }
  }

  #say(message: FromWebThread | WebNews): void {
    if (!this.#isClosing) this.#port.postMessage(message)
  }

  #close(): void {
    this.#closeServers()
    this.#sessions.close()
    this.#isClosing = true
    this.#port.close()
    // Waits for nothing: timers and connections to the daemon are of no use any more.
    setImmediate(() => process.exit(0))
  }

  #closeServers(): void {
    for (const server of this.#servers) {
      server.close()
      server.closeAllConnections()
    }
  }
}

if (parentPort) {
  giveWay(NICE)
  // Started by run/web-console.ts, with just that.
  void new WebThread(parentPort, workerData as WebStart).run()
}
