'use strict'

const assert = require('node:assert/strict')
const { test } = require('node:test')
const zlib = require('node:zlib')

const MIB = 1024 * 1024
const BOMB = Buffer.alloc(6 * MIB)
const FUNCTIONS = { gzip: ['gzipSync', 'gunzip'], deflate: ['deflateSync', 'inflate'], br: ['brotliCompressSync', 'brotliDecompress'] }

/** The module with a zlib whose long decompressions are counted. */
function watched(t) {
  const path = require.resolve('../../lib/adapters/decode.js')
  const before = require.cache[path]
  delete require.cache[path]
  const long = { now: 0, most: 0 }
  const originals = Object.values(FUNCTIONS).map(([, name]) => [name, zlib[name]])
  for (const [name, original] of originals) {
    zlib[name] = (bytes, options, done) => {
      const isLong = options.maxOutputLength > MIB
      if (isLong) long.most = Math.max(long.most, ++long.now)
      return original(bytes, options, (...results) => {
        if (isLong) long.now--
        done(...results)
      })
    }
  }
  const { decode } = require(path)
  for (const [name, original] of originals) zlib[name] = original
  require.cache[path] = before
  t.after(() => assert.equal(long.now, 0))
  return { decode, long }
}

for (const [encoding, [compress]] of Object.entries(FUNCTIONS)) {
  test(`many ${encoding} bodies that become long are decompressed one at a time`, async (t) => {
    const { decode, long } = watched(t)
    const [bomb, small] = [zlib[compress](BOMB), zlib[compress](Buffer.from('small'))]
    const all = await Promise.allSettled(
      Array.from({ length: 8 }, (_, number) => decode(bomb, encoding, number % 2 === 0 ? 4 * MIB : 32 * MIB, 200)),
    )
    for (const [number, { status, value, reason }] of all.entries()) {
      if (number % 2 === 0) assert.deepEqual([reason?.code, reason?.status], ['DELIVERY_RESPONSE_TOO_LARGE', 200])
      else assert.deepEqual([status, value.length], ['fulfilled', BOMB.length])
    }
    assert.equal(long.most, 1)
    const [first] = await Promise.all([decode(small, encoding, 32 * MIB, 200), decode(bomb, encoding, MIB, 200).catch(() => {})])
    assert.equal(first.toString(), 'small')
    await assert.rejects(decode(bomb, encoding, 10, 200), { code: 'DELIVERY_RESPONSE_TOO_LARGE' })
    await assert.rejects(decode(Buffer.from('no such thing'), encoding, 32 * MIB, 200), { code: 'DELIVERY_REJECTED' })
  })
}
