// SPDX-License-Identifier: MIT
// usage: node with_gateway.mjs LP_RUNTIME MODELS SCRIPT NODE_MODULES
//
// Starts a gateway, an orchestrator and a worker on free ports with the models of the folder MODELS,
// runs "node SCRIPT NODE_MODULES URL TOKEN" against them, and stops them. Succeeds if both the script
// and the runtime end well.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import readline from 'node:readline';

const [runtime, models, script, modules] = process.argv.slice(2);
const token = 'interop-token';
const config = `
[models]
dir = ${JSON.stringify(path.resolve(models))}

[[gateway]]
name = "gateway"
http = "127.0.0.1:0"
orchestrators = ["orchestrator"]
tokens = ["${token}"]

[[orchestrator]]
name = "orchestrator"
listen = "127.0.0.1:0"

[[worker]]
name = "worker"
orchestrator = "orchestrator"
`;

// Settles when the runtime has said where it serves and that all its nodes run.
function started(node) {
  return new Promise((resolve, reject) => {
    let url;
    readline.createInterface({ input: node.stderr }).on('line', (line) => {
      console.error(line);
      url ??= /serves (http:\/\/\S+)/.exec(line)?.[1];
      if (url && line.endsWith('runtime: ready')) resolve(url);
    });
    node.once('error', reject);
    node.once('exit', (code) => reject(new Error(`the runtime ended with ${code} at its start`)));
  });
}

// A gateway learns of its orchestrators after it has begun to listen.
async function serving(url) {
  for (const deadline = Date.now() + 60_000; Date.now() < deadline;) {
    const health = await fetch(`${url}/health`);
    if ((await health.json()).status === 'OK') return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error('no model was offered within a minute');
}

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'lp-interop-'));
const file = path.join(folder, 'interop.toml');
fs.writeFileSync(file, config);
const node = spawn(runtime, ['--config', file], { stdio: ['ignore', 'inherit', 'pipe'] });
const ended = once(node, 'exit');
process.on('exit', () => node.kill('SIGKILL'));
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1));
try {
  const url = await started(node);
  await serving(url);
  const test = spawn(process.execPath, [script, modules, url, token], { stdio: 'inherit' });
  const [code] = await once(test, 'exit');
  process.exitCode = code ?? 1;
  node.kill('SIGTERM');
  const [status, signal] = await ended;
  if (status !== 0) {
    console.log(`FAIL the runtime ended with ${status ?? signal} after SIGTERM`);
    process.exitCode = 1;
  }
} finally {
  fs.rmSync(folder, { recursive: true, force: true });
}
