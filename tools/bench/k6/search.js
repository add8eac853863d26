// Searches in a closed loop.
import grpc from 'k6/net/grpc';
import { connection, latency, nextText, now, params, plan, refused } from './common.js';

export { handleSummary, options, setup } from './common.js';

export default function () {
  const client = connection();
  const request = { query: nextText(), retrieval: { collections: [plan.collection] } };
  const began = now();
  // Decoding the reply would cost k6 more CPU than all else that it does here.
  const reply = client.invoke(
    'rag.gateway.v1.AnswerService/Search', request, params({ discardResponseMessage: true }),
  );
  if (reply.status === grpc.StatusOK) latency.add(now() - began);
  else refused(reply.error);
}
