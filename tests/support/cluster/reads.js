// Reads of a region at a constant rate, by the METHODS in turn, every connection for two calls.
import grpc from 'k6/net/grpc';
import exec from 'k6/execution';
import { Counter } from 'k6/metrics';

const client = new grpc.Client();
client.loadProtoset(__ENV.DESCRIPTORS);
const tokens = JSON.parse(__ENV.TOKENS);
const methods = JSON.parse(__ENV.METHODS);
const answered = new Counter('answered');
const failed = new Counter('failed');
const topics = ['연차휴가 이월', '출장비 정산 기한', '비밀번호 변경 주기', 'remote work days', 'expense limit for meals'];

export const options = {
  insecureSkipTLSVerify: true,
  scenarios: {
    reads: {
      executor: 'constant-arrival-rate', rate: Number(__ENV.RATE), timeUnit: '1s', duration: '30m',
      preAllocatedVUs: 12, maxVUs: 200, gracefulStop: '30s',
    },
  },
};

export default () => {
  const number = exec.scenario.iterationInTest;
  const method = methods[number % methods.length];
  const began = Date.now();
  try {
    if (__ITER % 2 === 0) client.connect(__ENV.TARGET, { timeout: '10s' });
    const query = `${topics[number % topics.length]} ${number}`;
    const reply = client.invoke(`rag.gateway.v1.AnswerService/${method}`, { query },
      { metadata: { authorization: `Bearer ${tokens[number % tokens.length]}` }, timeout: '20s' });
    if (reply.status === grpc.StatusOK) {
      answered.add(1);
      console.log(`ANSWERED ${method}`);
    } else if (reply.status !== grpc.StatusCanceled) {
      // Only k6 itself cancels a call, when it is told to end.
      failed.add(1);
      console.log(`FAILED ${method} after ${Date.now() - began} ms: ${reply.status} ${JSON.stringify(reply.error)}`);
    }
  } catch (error) {
    failed.add(1);
    console.log(`FAILED ${method} after ${Date.now() - began} ms: ${error}`);
  }
  if (__ITER % 2 === 1) client.close();
};

export function handleSummary(data) {
  return { [__ENV.SUMMARY]: JSON.stringify(data) };
}
