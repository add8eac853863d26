// Users with a connection each, who ask at times that were fixed before, whatever became of other questions.
//
// They connect one after the other within plan.connecting seconds; then one of them asks every
// 1 / plan.rate seconds, each in its turn. With plan.ask_first each asks when it connects, too.
import { sleep } from 'k6';
import exec from 'k6/execution';
import { Trend } from 'k6/metrics';
import { caller, connection, now, plan, search } from './common.js';

export { handleSummary, options, setup } from './common.js';

const late = new Trend('late');

export default function () {
  const round = exec.vu.iterationInScenario;
  const due = round
    ? plan.connecting + ((round - 1) * plan.callers + caller()) / plan.rate
    : (plan.connecting * caller()) / plan.callers;
  sleep(Math.max(due - now() / 1000, 0));
  // From when the question was due: what k6 itself is late is part of the latency.
  if (round || plan.ask_first) {
    connection();
    late.add(now() - due * 1000);
    search(due * 1000);
  } else connection();
}
