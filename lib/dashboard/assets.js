'use strict'

const { createHash } = require('node:crypto')
const { readdirSync, readFileSync } = require('node:fs')
const { extname, join } = require('node:path')
const { gzipSync } = require('node:zlib')

const { send } = require('./answer.js')

const FOLDER = join(__dirname, 'page')
const TYPES = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.mjs': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
}

let files = null

/** The files of the page by name, read and compressed once per process. */
function assets() {
  if (files !== null) return files
  files = new Map()
  for (const name of readdirSync(FOLDER)) {
    const type = TYPES[extname(name)]
    if (type === undefined) continue
    const plain = readFileSync(join(FOLDER, name))
    files.set(name, { type, plain, gzipped: gzipSync(plain, { level: 9 }), tag: `"${digest(plain)}"` })
  }
  return files
}

/** Changes whenever a file of the page does: an open page of an earlier version loads itself again. */
function version() {
  return digest([...assets().values()].map(({ tag }) => tag).join())
}

function digest(content) {
  return createHash('sha256').update(content).digest('base64url').slice(0, 16)
}

function sendAsset({ type, plain, gzipped, tag }, request, response) {
  const headers = { 'content-type': type, etag: tag, 'cache-control': 'no-cache', vary: 'accept-encoding' }
  if (request.headers['if-none-match'] === tag) return send(response, 304, headers)
  const isGzip = /\bgzip\b/.test(request.headers['accept-encoding'] ?? '')
  const body = isGzip ? gzipped : plain
  const encoding = isGzip ? { 'content-encoding': 'gzip' } : {}
  send(response, 200, { ...headers, ...encoding, 'content-length': body.length }, request.method === 'HEAD' ? undefined : body)
}

module.exports = { assets, sendAsset, version }
