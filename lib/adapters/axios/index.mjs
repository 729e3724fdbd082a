// An ES module's axios is another copy than the one that `require` gives, with classes of its own: the errors that a
// program gets must be instances of those that it imports.
import axios from 'axios'

import adapter from './index.js'

export const createAdapter = (sender, options) => adapter.createAdapter(sender, { axios, ...options })
