/**
 * What a plugin of one's own is given: a file in the plugins folder exports a function that takes
 * this and returns a plugin, or several. Everything here means what it means to our own plugins.
 *
 * The declarations of this file and of what it names are shipped for editors.
 */

import { LookupError } from '../system/errors.ts'
import { compilePattern } from '../text/pattern.ts'
import { fact } from './facts.ts'
import { definePlugin, type Plugin } from './plugin.ts'
import { addScore, currentScore } from './scoring.ts'
import {
  boolean,
  choice,
  custom,
  integer,
  list,
  number,
  optional,
  pattern,
  patterns,
  perMail,
  repeated,
  seconds,
  text,
  toggle,
} from './setting.ts'
import { defer, dunno, reject } from './verdict.ts'

export const pluginApi = {
  definePlugin,
  // Settings.
  text,
  integer,
  number,
  boolean,
  toggle,
  choice,
  list,
  pattern,
  patterns,
  seconds,
  custom,
  optional,
  repeated,
  perMail,
  // What the log line shows of a mail: fact('client', '...') or fact('decision', '...').
  fact,
  // Actions.
  dunno,
  defer,
  reject,
  // Scores of a mail.
  addScore,
  currentScore,
  compilePattern,
  /** Thrown when a dependency did not answer. */
  LookupError,
} as const

export type PluginApi = typeof pluginApi

/** What a file in the plugins folder exports as its default. */
export type PluginFile = (api: PluginApi) => Plugin | readonly Plugin[]
