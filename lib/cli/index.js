'use strict'

const { ConfigError, SpillwayError } = require('../errors.js')
const { Output } = require('./output.js')
const { parse, UsageError } = require('./usage.js')

const EXIT_FAILURE = 1
const EXIT_USAGE = 2

// Loaded when asked for: `--help` needs none of them.
const COMMANDS = {
  demo: () => require('./demo.js'),
  simulate: () => require('./simulate.js'),
  send: () => require('./send.js'),
  ramp: () => require('./ramp.js'),
  outbox: () => require('./outbox.js'),
  fleet: () => require('./fleet.js'),
}

const HELP = `Usage: spillway <command> [options]

Sends messages to the Genesys Cloud API at the rate that the organization is allowed.

Commands:
  demo       send a peak hour through Spillway to a simulated Genesys, and sum it up
  simulate   run the simulator until Ctrl-C, and print what arrived
  send       send messages from a file or standard input
  ramp       find the limit of a server, gently, and write a report
  outbox     look into the file of a sender, and redrive its dead letters
  fleet      show how hosts share a budget in a Redis

Options:
  -h, --help   this text, or with a command that command's
  --version    the version
  --json       output for machines

See spillway <command> --help.
`

/** Runs the command line; gives the exit code. `io` is what it may touch of the process. */
async function main(args, { stdout, stderr, ...rest }) {
  const io = { ...rest, stdout: new Output(stdout), stderr: new Output(stderr) }
  const name = Object.hasOwn(COMMANDS, args[0]) ? args[0] : null
  try {
    return name === null ? general(args, io) : await command(COMMANDS[name](), args.slice(1), io)
  } catch (error) {
    return report(error, name === null ? 'spillway' : `spillway ${name}`, io)
  }
}

function general(args, io) {
  if (args.length > 0 && !args[0].startsWith('-')) {
    throw new UsageError(`unknown command ${JSON.stringify(args[0])}; known are ${Object.keys(COMMANDS).join(', ')}`)
  }
  const { values, positionals } = parse(args)
  if (values.help) return print(io, HELP)
  if (values.version) return printVersion(values, io)
  const problem = positionals.length > 0 ? 'options come after the command' : 'a command is missing'
  throw new UsageError(`${problem}; known are ${Object.keys(COMMANDS).join(', ')}`)
}

async function command({ help, options, positionalsMax = 0, run }, args, io) {
  const { values, positionals } = parse(args, options)
  if (values.help) return print(io, help)
  if (values.version) return printVersion(values, io)
  if (positionals.length > positionalsMax) {
    throw new UsageError(`unexpected argument ${JSON.stringify(positionals[positionalsMax])}`)
  }
  return run(values, positionals, io)
}

function print(io, text) {
  io.stdout.write(text)
  return 0
}

function printVersion({ json }, io) {
  const { version } = require('../../package.json')
  return print(io, json ? `${JSON.stringify({ version })}\n` : `${version}\n`)
}

function report(error, name, io) {
  if (error instanceof UsageError || error instanceof ConfigError) {
    io.stderr.write(`${name}: ${error.message} (see ${name} --help)\n`)
    return EXIT_USAGE
  }
  // Ours say all in their message; a stack is for defects.
  io.stderr.write(`${name}: ${error instanceof SpillwayError ? error.message : (error?.stack ?? error)}\n`)
  return EXIT_FAILURE
}

module.exports = { main }
