// Documents written once each, by several callers; a refused one is sent again.
import encoding from 'k6/encoding';
import exec from 'k6/execution';
import grpc from 'k6/net/grpc';
import { Counter } from 'k6/metrics';
import { connection, latency, nextText, now, params, plan, refused } from './common.js';

export { handleSummary, options, setup } from './common.js';

const MAX_ATTEMPTS = 100;
const passages = new Counter('passages');

export default function () {
  const client = connection();
  const request = {
    collection: plan.collection,
    document: { document_id: `bench-${exec.scenario.iterationInTest}` },
    content: encoding.b64encode(nextText()),
  };
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt += 1) {
    const began = now();
    const reply = client.invoke('rag.gateway.v1.DocumentService/IngestDocument', request, params());
    if (reply.status === grpc.StatusOK) {
      latency.add(now() - began);
      passages.add(reply.message.document.passageCount);
      return;
    }
    refused(reply.error);
  }
}
