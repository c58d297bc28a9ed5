// Whether the parts of a remembered token stand in the heap of a process that was given nothing else to keep.
import { randomBytes } from 'node:crypto';
import { getHeapSnapshot } from 'node:v8';
import { RememberedTokens } from '../../../dist/sessions/access-tokens/remembered-tokens.js';

const tokens = new RememberedTokens(10);

/** Bytes lie outside of what a snapshot shows; texts that only this function knows are gone with it. */
function remember() {
  const parts = [randomBytes(30), randomBytes(300), randomBytes(64)];
  const presented = `Bearer ${parts.map((part) => part.toString('base64url')).join('.')}`;
  tokens.add(RememberedTokens.keyOf(presented.slice('Bearer '.length)), { sessionId: 's' }, tokens.version);
  return parts;
}

const [, payload, signature] = remember();
// Taking a snapshot collects garbage first. What lies across two pieces of it is seen too.
let [before, said, signed] = ['', false, false];
for await (const chunk of getHeapSnapshot()) {
  const text = before + chunk.toString('latin1');
  said ||= text.includes(payload.toString('base64url').slice(0, 40));
  signed ||= text.includes(signature.toString('base64url').slice(0, 40));
  before = text.slice(-100);
}
console.log(JSON.stringify({ said, signature: signed, size: tokens.size }));
