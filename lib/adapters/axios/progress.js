'use strict'

/**
 * Tells the listeners of a call how much was sent and received: once each, when the answer is there. As in axios, later than the
 * adapter's own code: what a listener throws is not the call's failure.
 */
function reportProgress({ onUploadProgress, onDownloadProgress }, sent, { headers, bytes }) {
  const length = headers['content-length']
  const total = length === undefined ? undefined : Number(length)
  // Of a compressed body, axios counts the bytes on the wire.
  report(onUploadProgress, { upload: true, loaded: sent?.length ?? 0, total: sent?.length })
  report(onDownloadProgress, { download: true, loaded: bytes.length === 0 ? 0 : (total ?? bytes.length), total })
}

function report(listener, { loaded, total, ...direction }) {
  if (typeof listener !== 'function' || loaded === 0) return
  const lengthComputable = total !== undefined
  const progress = lengthComputable ? loaded / total : undefined
  const event = { lengthComputable, total, loaded }
  process.nextTick(listener, { ...event, progress, bytes: loaded, rate: undefined, estimated: undefined, event, ...direction })
}

module.exports = { reportProgress }
