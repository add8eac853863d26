// Streamed answers in a closed loop: milliseconds to the first event, the first words and the end.
import grpc from 'k6/net/grpc';
import { Trend } from 'k6/metrics';
import { connection, latency, nextText, now, params, plan, refused } from './common.js';

export { handleSummary, options, setup } from './common.js';

const firstEvent = new Trend('first_event');
const firstDelta = new Trend('first_delta');

export default function () {
  const stream = new grpc.Stream(
    connection(), 'rag.gateway.v1.AnswerService/StreamAnswer', params(),
  );
  const began = now();
  const seen = {};
  let failure = null;
  stream.on('data', (event) => {
    if (!seen.event) firstEvent.add(now() - began);
    if (event.delta && !seen.delta) firstDelta.add(now() - began);
    seen.event = true;
    seen.delta = seen.delta || Boolean(event.delta);
  });
  stream.on('error', (error) => { failure = error; });
  stream.on('end', () => {
    if (failure) refused(failure);
    else latency.add(now() - began);
  });
  stream.write({ query: nextText(), retrieval: { collections: [plan.collection] } });
  stream.end();
}
