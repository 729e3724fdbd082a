'use strict'

const { readFile } = require('node:fs/promises')

const { UsageError } = require('./usage.js')

const FILE_BYTES_MAX = 1024 * 1024

/** The object in a JSON file. Errors show nothing of it: it may be the file with the secret. */
async function readConfig(file) {
  let text
  try {
    text = await readFile(file, 'utf8')
  } catch (error) {
    throw new UsageError(`--config ${file} can't be read (${error.code})`)
  }
  if (text.length > FILE_BYTES_MAX) throw new UsageError(`--config ${file} is longer than ${FILE_BYTES_MAX} bytes`)
  let config
  try {
    config = JSON.parse(text)
  } catch {
    throw new UsageError(`--config ${file} is not valid JSON`)
  }
  if (typeof config === 'object' && config !== null && !Array.isArray(config)) return config
  throw new UsageError(`--config ${file} must hold an object`)
}

module.exports = { readConfig }
