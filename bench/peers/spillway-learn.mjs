// Spillway that learns the quota; what it was told is no more than where it starts.
import { ConfigError, Sender } from '../../index.mjs'

import { openWith, optionsFor } from './spillway.mjs'

export const open = ({ url, told }) => openWith(url, { learn: true, start: told })

/** Whether this build can learn. Only the error that says that it can't is an answer; any other is one of this benchmark. */
export async function canLearn() {
  try {
    const sender = await Sender.open({ ...optionsFor('http://127.0.0.1:9'), rateLimit: 'learn' })
    await sender.close()
    return true
  } catch (error) {
    if (error instanceof ConfigError && error.field === 'rateLimit' && error.message.includes('not available')) return false
    throw error
  }
}
