// How a client's script tells run.py what became of each call: one line of JSON a call.
import assert from 'node:assert/strict';

export { assert };
export const port = Number(process.env.HEXFUSION_PORT);
export const auth = process.env.HEXFUSION_AUTH ?? '';
export const side = Number(process.env.HEXFUSION_SIDE ?? 64);

let failures = 0;

function note(call, outcome, says) {
  if (outcome === 'FAILED') failures += 1;
  const said = String(says ?? '').replace(/\s+/g, ' ').slice(0, 300);
  console.log(JSON.stringify({ call, outcome, says: said }));
}

// `call` asks, asserts what has to hold, and may answer what to show.
export async function works(name, call) {
  try {
    note(name, 'works', await call());
  } catch (error) {
    note(name, 'FAILED', error);
  }
}

// `call` has to fail, or answer, with a text that mentions all of these.
export async function refused(name, call, ...mentions) {
  let said;
  try {
    said = JSON.stringify(await call());
  } catch (error) {
    said = String(error);
  }
  const due = mentions.every((each) => said.toLowerCase().includes(each.toLowerCase()));
  note(name, due ? 'refused as due' : 'FAILED', said);
}

export function end() {
  process.exit(failures ? 1 : 0);
}

// Width and height as a PNG's head tells them.
export function pngSize(base64) {
  const bytes = Buffer.from(base64, 'base64');
  assert.equal(bytes.subarray(1, 4).toString(), 'PNG');
  return [bytes.readUInt32BE(16), bytes.readUInt32BE(20)];
}
