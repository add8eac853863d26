// What the scripts share: the plan that load.py writes, a caller's connection, a search, and the summary.
import exec from 'k6/execution';
import grpc from 'k6/net/grpc';
import { sleep } from 'k6';
import { SharedArray } from 'k6/data';
import { Counter, Trend } from 'k6/metrics';

export const plan = JSON.parse(open(__ENV.PLAN));
export const latency = new Trend('latency');
const errors = new Counter('errors');
// Of the errors, those by which an overloaded platform says when to come back.
const shed = new Counter('shed');
// The others by their status.
const failed = [...Array(17).keys()].map((status) => new Counter(`status_${status}`));
const sentLatency = new Trend('sent_latency');
const OVERLOAD = [grpc.StatusResourceExhausted, grpc.StatusUnavailable];
const texts = new SharedArray('texts', () => JSON.parse(open(plan.texts)));
const tokens = new SharedArray('tokens', () => JSON.parse(open(plan.tokens)));
const client = new grpc.Client();
client.loadProtoset(plan.descriptors);
let connected = false;

function length() {
  if (plan.rounds) {
    return { executor: 'per-vu-iterations', iterations: plan.rounds, maxDuration: '60m' };
  }
  return plan.iterations
    ? { executor: 'shared-iterations', iterations: plan.iterations, maxDuration: '30m' }
    : { executor: 'constant-vus', duration: `${plan.seconds}s`, gracefulStop: '60s' };
}
export const options = {
  scenarios: { load: { ...length(), vus: plan.callers } },
  summaryTrendStats: ['count', 'p(50)', 'p(95)', 'p(99)'],
};

// Says that the first calls begin: load.py reads it.
export function setup() {
  console.log('started');
}

export function connection() {
  if (!connected) client.connect(plan.target, { timeout: '30s', ...plan.connect });
  connected = true;
  return client;
}

// Milliseconds with fractions, which Date.now() does not have.
export const now = () => exec.instance.currentTestRunDuration;

// The caller's number, from 0.
export const caller = () => exec.vu.idInTest - 1;

// A text that no other call of this run has.
export const nextText = () => texts[exec.scenario.iterationInTest % texts.length];

export const params = (more) => ({
  metadata: { authorization: `Bearer ${tokens[caller() % tokens.length]}` },
  timeout: '60s',
  ...more,
});

// A search whose latency counts from `began`, and a second time from when it is sent.
export function search(began) {
  const request = { query: nextText(), retrieval: { collections: [plan.collection] } };
  const sent = now();
  // Decoding the reply would cost k6 more CPU than all else that it does here.
  const reply = connection().invoke(
    'rag.gateway.v1.AnswerService/Search', request, params({ discardResponseMessage: true }),
  );
  const ended = now();
  if (reply.status === grpc.StatusOK) {
    latency.add(ended - began);
    sentLatency.add(ended - sent);
  } else refused(reply.error, reply.status);
}

// A refused caller waits as long as the error says, so that refusals do not become the load.
export function refused(error, status) {
  errors.add(1);
  const retry = ((error && error.details) || []).find((detail) => detail.retryDelay);
  if (retry && OVERLOAD.includes(status)) shed.add(1);
  else if (status) failed[status].add(1);
  sleep(Math.min(retry ? parseFloat(retry.retryDelay) : 0.05, 1));
}

export function handleSummary(data) {
  const result = { seconds: data.state.testRunDurationMs / 1000, counts: {}, trends: {} };
  for (const [name, { type, values }] of Object.entries(data.metrics)) {
    if (type === 'counter') result.counts[name] = values.count;
    if (type === 'trend') {
      result.trends[name] = [values.count, values['p(50)'], values['p(95)'], values['p(99)']];
    }
  }
  return { stdout: JSON.stringify(result) };
}
