/** Options that several commands or programs share, and those of the programs themselves. */

import type { Options } from './command.ts'

export const json = { type: 'boolean', mayFollow: true, doc: 'Print JSON, for programs.' } as const

export const configDir = {
  type: 'string',
  multiple: true,
  argument: 'DIR',
  offers: 'directories',
  doc: 'Only the Postfix instance with this configuration directory. Repeatable.',
} as const

const help = { type: 'boolean', short: 'h', mayFollow: true, doc: 'Show this text.' } as const

const version = { type: 'boolean', doc: 'Show the version.' } as const

const root = {
  type: 'string',
  default: '/',
  argument: 'DIR',
  offers: 'directories',
  doc: 'Use the files below DIR instead of those of this system; needs no privileges.',
} as const

/** mtpolicyd. The options are the original's, and --root. */
export const daemonOptions = {
  foreground: {
    type: 'boolean',
    short: 'f',
    doc: 'Stay in the foreground and log to standard error.',
  },
  config: {
    type: 'string',
    short: 'c',
    argument: 'FILE',
    offers: 'files',
    doc: 'Use this configuration. Default: the one generated from the host variables.',
  },
  loglevel: {
    type: 'string',
    short: 'l',
    argument: 'N',
    offers: ['1', '2', '3', '4'],
    doc: `Override the log level of the configuration: 1 one line per verdict, 2 start and stop as
      well, 3 connections, 4 everything. Errors are always logged.`,
  },
  root,
  cron: {
    type: 'string',
    short: 't',
    argument: 'LIST',
    offers: ['hourly', 'daily', 'weekly', 'monthly'],
    doc: 'Run the periodic tasks of this list (hourly,daily,...) and exit.',
  },
  dump_config: {
    type: 'boolean',
    short: 'd',
    doc: 'Load the configuration, report its mistakes, and exit.',
  },
  dump_vhosts: { type: 'boolean', isHidden: true, doc: 'The same as --dump_config.' },
  version,
  help,
} as const satisfies Options

/** policyd-client. Here -h is the original's, so help has no such letter. */
export const clientOptions = {
  host: {
    type: 'string',
    short: 'h',
    default: 'localhost:12345',
    argument: 'HOST:PORT',
    doc: 'Where the server listens. Default: localhost:12345.',
  },
  socket_path: {
    type: 'string',
    short: 's',
    argument: 'PATH',
    offers: 'files',
    doc: 'Connect to this unix socket instead.',
  },
  keepalive: { type: 'boolean', short: 'k', doc: 'Send all requests over one connection.' },
  verbose: {
    type: 'boolean',
    short: 'v',
    doc: 'Show on standard error what is sent and received.',
  },
  help: { type: 'boolean', short: '?', doc: 'Show this text.' },
  usage: { type: 'boolean', isHidden: true, doc: 'The same as --help.' },
} as const satisfies Options

/** mtpolicyctl, before the command. */
export const controlOptions = { root, version, help } as const satisfies Options

/** Every command has it, so none declares it. */
export const helpOption = { help } as const satisfies Options

export const postfixOptions = { 'config-dir': configDir, json } as const satisfies Options

/** UCR's layers. On a server without UCR they are files of our own. */
export const scopeOptions = {
  force: { type: 'boolean', doc: 'Change the layer that overrides all others.' },
  forced: { type: 'boolean', isHidden: true, doc: 'The same as --force.' },
  'ldap-policy': { type: 'boolean', isHidden: true, doc: 'Change the layer of LDAP policies.' },
  schedule: { type: 'boolean', isHidden: true, doc: 'Change the layer of schedules.' },
} as const satisfies Options

/** UCR accepts it with every command, and so do we: output is always sorted. */
export const sortFilter = {
  sort: {
    type: 'boolean',
    isFilter: true,
    isHidden: true,
    doc: 'Accepted for compatibility; output is always sorted.',
  },
} as const satisfies Options

/** Ours, not UCR's: it may stand anywhere, and no variable is called that. */
export const jsonFilter = { ...json, isFilter: true } as const

export const shellFilter = {
  type: 'boolean',
  isFilter: true,
  doc: 'Print lines that a shell can evaluate. Goes before the command.',
} as const

export const listFilters = {
  shell: shellFilter,
  'keys-only': {
    type: 'boolean',
    isFilter: true,
    doc: 'Print names without values. Goes before the command.',
  },
  ...sortFilter,
  json: jsonFilter,
} as const satisfies Options
