'use strict'

// Control characters (C0, DEL, C1), line and paragraph separators, and format characters that reorder or hide what follows, or can't be
// seen at all (bidi controls, zero-width and soft breaks, byte order mark, annotations, tags): a terminal acts on them, and a reader is
// misled by them: two ids would look the same. Joiners stay, since emoji and many scripts need them.
const UNSAFE =
  /[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|\udb40[\udc00-\udc7f]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g

/**
 * The text with everything that a terminal might act on as `\uXXXX`; line feeds and tabs stay. JSON stays the same JSON, since such
 * characters stand inside its strings alone.
 */
function escapeUnsafe(text) {
  return text.replace(UNSAFE, (unsafe) => {
    let escaped = ''
    for (let at = 0; at < unsafe.length; at++) escaped += `\\u${unsafe.charCodeAt(at).toString(16).padStart(4, '0')}`
    return escaped
  })
}

module.exports = { escapeUnsafe }
