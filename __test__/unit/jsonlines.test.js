'use strict'

const assert = require('node:assert/strict')
const { test } = require('node:test')
const { Readable } = require('node:stream')

const { jsonLines, openInput } = require('../../lib/cli/jsonlines.js')

async function read(...chunks) {
  const found = []
  for await (const entry of jsonLines(Readable.from(chunks.map((chunk) => Buffer.from(chunk))))) found.push(entry)
  return found
}

test('values with their line numbers, however the bytes arrive', async () => {
  const text = '\ufeff{"a":"ü😀"}\r\n\n  \n[1]\nnull'
  const expected = [
    { line: 1, value: { a: 'ü😀' } },
    { line: 4, value: [1] },
    { line: 5, value: null },
  ]
  assert.deepEqual(await read(text), expected)
  assert.deepEqual(await read(...Array.from(Buffer.from(text), (byte) => [byte])), expected)
  assert.deepEqual(await read(`${text}\n`), expected)
  assert.deepEqual(await read(''), [])
})

test('what is wrong is told by its line, and not shown', async () => {
  const table = [
    [['{"a":1}\n{secret'], 'the input, line 2: not valid JSON'],
    [['1\n\n', Buffer.from([0x22, 0xff, 0x22])], 'the input, line 3: not valid UTF-8'],
    [['1\n', 'x'.repeat(8_388_609)], 'the input, line 2: longer than 8388608 bytes'],
    [['x'.repeat(8_388_600), `${'x'.repeat(10)}\n1`], 'the input, line 1: longer than 8388608 bytes'],
  ]
  for (const [chunks, message] of table) await assert.rejects(read(...chunks), { name: 'UsageError', message })
})

test('an endless line is refused before it fills the memory', async () => {
  let chunks = 0
  const endless = Readable.from(
    (function* () {
      for (;;) yield (chunks++, Buffer.alloc(1024 * 1024, 0x20))
    })(),
  )
  await assert.rejects(async () => {
    for await (const _ of jsonLines(endless));
  }, /longer than 8388608 bytes/)
  assert.ok(chunks < 40)
})

test("a file that can't be read is told by its code", async () => {
  const missing = jsonLines(openInput('/no/such/file'), '/no/such/file')
  await assert.rejects(missing.next(), { name: 'UsageError', message: "/no/such/file can't be read (ENOENT)" })
  await assert.rejects(jsonLines(openInput('/'), '/').next(), { message: "/ can't be read (EISDIR)" })
})
