// Searches in a closed loop.
import { connection, now, search } from './common.js';

export { handleSummary, options, setup } from './common.js';

export default function () {
  connection();
  search(now());
}
