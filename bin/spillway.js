#!/usr/bin/env node
'use strict'

const { main } = require('../lib/cli/index.js')

// A reader that has seen enough, such as `head`, is no reason for a stack trace.
process.stdout.on('error', (error) => {
  if (error.code !== 'EPIPE') throw error
  process.exit(0)
})

main(process.argv.slice(2), {
  stdout: process.stdout,
  stderr: process.stderr,
  stdin: process.stdin,
  env: process.env,
  signals: process,
}).then((code) => {
  process.exitCode = code
})
