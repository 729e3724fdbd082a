'use strict'

const { randomBytes } = require('node:crypto')

const BOUNDARY = /boundary=([-_\w\d]{10,70})/i
const ESCAPES = { '\r': '%0D', '\n': '%0A', '"': '%22' }

/**
 * A form as axios writes it, with the boundary that the caller's `contentType` names, or one that begins with `tag`. By shape and
 * not by class: forms of packages, which axios' `env.FormData` may name, are forms as well.
 */
function multipart(form, { contentType, tag }) {
  const boundary = BOUNDARY.exec(contentType ?? '')?.[1] ?? `${tag}-${randomBytes(18).toString('base64url')}`
  const parts = [...form].map(([name, value]) => partOf(name, value))
  return {
    contentType: `multipart/form-data; boundary=${boundary}`,
    /** Known before a file is read: the parts, without the lines between them. */
    lengthMin: parts.reduce((sum, { head, length }) => sum + head.length + length, 0),
    async bytes() {
      const pieces = []
      for (const { head, content } of parts) {
        pieces.push(Buffer.from(`--${boundary}\r\n`), head, Buffer.from(await content()), Buffer.from('\r\n'))
      }
      return Buffer.concat([...pieces, Buffer.from(`--${boundary}--\r\n`)])
    },
  }
}

function partOf(name, value) {
  const disposition = `Content-Disposition: form-data; name="${escaped(name)}"`
  if (typeof value === 'string') {
    const text = Buffer.from(value.replace(/\r?\n|\r\n?/g, '\r\n'))
    return { head: Buffer.from(`${disposition}\r\n\r\n`), length: text.length, content: () => text }
  }
  const type = String(value.type || 'application/octet-stream').replace(/[\r\n]/g, '')
  const fileName = value.name ? `; filename="${escaped(value.name)}"` : ''
  return {
    head: Buffer.from(`${disposition}${fileName}\r\nContent-Type: ${type}\r\n\r\n`),
    length: value.size,
    content: () => value.arrayBuffer(),
  }
}

function escaped(name) {
  return String(name).replace(/[\r\n"]/g, (char) => ESCAPES[char])
}

module.exports = { multipart }
