'use strict'

const { createReadStream } = require('node:fs')

const { UsageError } = require('./usage.js')

const LINE_BYTES_MAX = 8 * 1024 * 1024
const NEWLINE = 0x0a

/** The file's bytes as a stream, or those of standard input for `-`. */
function openInput(path, stdin) {
  return path === '-' ? stdin : createReadStream(path)
}

/**
 * The values of a stream of JSON lines, each with its line number from 1. Holds one line at a time. What is wrong is a
 * UsageError that names the line and shows nothing of it.
 */
async function* jsonLines(stream, name = 'the input') {
  let line = 0
  for await (const bytes of lines(stream, name)) {
    line++
    const text = decode(bytes, name, line)
    if (text.trim() === '') continue
    let value
    try {
      value = JSON.parse(text)
    } catch {
      throw new UsageError(`${name}, line ${line}: not valid JSON`)
    }
    yield { line, value }
  }
}

async function* lines(stream, name) {
  let parts = []
  let length = 0
  let line = 1
  for await (const chunk of readable(stream, name)) {
    let start = 0
    for (let end; (end = chunk.indexOf(NEWLINE, start)) !== -1; start = end + 1) {
      parts.push(chunk.subarray(start, end))
      checkLength(length + end - start, name, line++)
      yield Buffer.concat(parts)
      parts = []
      length = 0
    }
    parts.push(chunk.subarray(start))
    length += chunk.length - start
    checkLength(length, name, line)
  }
  if (length > 0) yield Buffer.concat(parts)
}

async function* readable(stream, name) {
  try {
    for await (const chunk of stream) yield typeof chunk === 'string' ? Buffer.from(chunk) : chunk
  } catch (error) {
    if (typeof error.code !== 'string') throw error
    throw new UsageError(`${name} can't be read (${error.code})`)
  }
}

function checkLength(bytes, name, line) {
  if (bytes > LINE_BYTES_MAX) throw new UsageError(`${name}, line ${line}: longer than ${LINE_BYTES_MAX} bytes`)
}

function decode(bytes, name, line) {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    throw new UsageError(`${name}, line ${line}: not valid UTF-8`)
  }
}

module.exports = { jsonLines, openInput }
