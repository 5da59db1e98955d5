// SPDX-License-Identifier: MIT
// usage: node livepeer_ai.mjs NODE_MODULES URL TOKEN
//
// Uses a gateway at URL, which takes TOKEN, through Livepeer's own client library.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import path from 'node:path';

const [modules, url, token] = process.argv.slice(2);
const require = createRequire(path.join(path.resolve(modules), 'from-here.js'));
const { Livepeer } = require('@livepeer/ai');
const errors = require('@livepeer/ai/models/errors');

const gateway = new Livepeer({ httpBearer: token, serverURL: url });
const draw = (request, client = gateway) => client.generate.textToImage(request);

// What the promise is rejected with.
async function failure(promise) {
  return promise.then(
    () => assert.fail('an error was expected'),
    (error) => error,
  );
}

async function fetchPicture(address) {
  assert.ok(address.startsWith(`${url}/media/`), `${address} is not an address of ${url}`);
  const answer = await fetch(address);
  assert.equal(answer.status, 200);
  assert.equal(answer.headers.get('content-type'), 'image/png');
  const bytes = Buffer.from(await answer.arrayBuffer());
  assert.equal(bytes.subarray(0, 8).toString('latin1'), '\x89PNG\r\n\x1a\n');
  assert.equal(bytes.subarray(12, 16).toString('latin1'), 'IHDR');
  return { bytes, width: bytes.readUInt32BE(16), height: bytes.readUInt32BE(20) };
}

const small = { prompt: 'a red circle on a blue background', width: 128, height: 64, seed: 7,
                numInferenceSteps: 2 };

const tests = {
  async 'the prompt alone'() {
    const answer = await draw({ prompt: 'a green square' });
    assert.equal(answer.statusCode, 200);
    assert.equal(answer.imageResponse.images.length, 1);
    const [image] = answer.imageResponse.images;
    assert.ok(Number.isSafeInteger(image.seed) && image.seed >= 0);
    assert.equal(image.nsfw, false);
    const { width, height } = await fetchPicture(image.url);
    assert.deepEqual([width, height], [1024, 576]);
  },

  async 'every parameter'() {
    const answer = await draw({ ...small, modelId: '', loras: '', guidanceScale: 2,
                                negativePrompt: 'a star', safetyCheck: false,
                                numImagesPerPrompt: 2 });
    const { images } = answer.imageResponse;
    assert.deepEqual(images.map((i) => i.seed), [7, 8]);
    const pictures = await Promise.all(images.map((i) => fetchPicture(i.url)));
    for (const p of pictures) assert.deepEqual([p.width, p.height], [128, 64]);
    assert.notDeepEqual(pictures[0].bytes, pictures[1].bytes);
  },

  async 'the same seed draws the same picture'() {
    const answers = [await draw(small), await draw(small)];
    const [a, b] = await Promise.all(
      answers.map((r) => fetchPicture(r.imageResponse.images[0].url)));
    assert.deepEqual(a.bytes, b.bytes);
  },

  async 'jobs side by side'() {
    const seeds = [1, 2, 3, 4];
    const answers = await Promise.all(seeds.map((seed) => draw({ ...small, seed })));
    assert.deepEqual(answers.map((r) => r.imageResponse.images[0].seed), seeds);
  },

  async 'wrong fields are listed'() {
    const error = await failure(draw({ ...small, height: 7, numInferenceSteps: 0 }));
    assert.ok(error instanceof errors.HTTPValidationError, String(error));
    const fields = error.detail.map((d) => d.loc.join('.')).sort();
    assert.deepEqual(fields, ['body.height', 'body.num_inference_steps']);
    for (const d of error.detail) {
      assert.equal(d.type, 'greater_than_equal');
      assert.match(d.msg, /greater than or equal to \d+/);
    }
  },

  async 'an unknown model is told by name'() {
    const error = await failure(draw({ ...small, modelId: 'nobody/has-this' }));
    assert.ok(error instanceof errors.SDKError, String(error));
    assert.equal(error.statusCode, 404);
    assert.match(JSON.parse(error.body).detail.msg, /nobody\/has-this/);
  },

  async 'a wrong token is 401'() {
    const stranger = new Livepeer({ httpBearer: 'wrong', serverURL: url });
    const error = await failure(draw(small, stranger));
    assert.ok(error instanceof errors.HTTPError, String(error));
    assert.match(error.detail.msg, /token/i);
  },

  async 'a picture is drawn anew from a picture'() {
    const first = await fetchPicture((await draw(small)).imageResponse.images[0].url);
    const image = new Blob([first.bytes]);
    const answer = await gateway.generate.imageToImage({ image, prompt: 'a green circle', seed: 3,
                                                         strength: 0.5, numInferenceSteps: 2 });
    assert.equal(answer.statusCode, 200);
    const [drawn] = answer.imageResponse.images;
    assert.equal(drawn.seed, 3);
    const { width, height } = await fetchPicture(drawn.url);
    assert.deepEqual([width, height], [first.width, first.height]);
  },

  async 'a file that is no picture is named'() {
    const image = { fileName: 'photo.png', content: Buffer.from('no picture') };
    const error = await failure(gateway.generate.imageToImage({ image, prompt: 'x' }));
    assert.ok(error instanceof errors.HTTPValidationError, String(error));
    assert.deepEqual(error.detail[0].loc, ['body', 'image']);
  },

  async 'upscaling without a model for it says so'() {
    const image = new Blob([(await fetchPicture((await draw(small)).imageResponse.images[0].url))
      .bytes]);
    const error = await failure(gateway.generate.upscale({ image, prompt: '' }));
    assert.ok(error instanceof errors.SDKError || error instanceof errors.HTTPError, String(error));
    assert.match(error.body ?? JSON.stringify(error.detail), /upscale/);
  },

  async 'a medium that is not there is 404'() {
    const answer = await fetch(`${url}/media/${'0'.repeat(32)}.png`);
    assert.equal(answer.status, 404);
    assert.ok((await answer.json()).detail.msg);
  },
};

let failed = 0;
for (const [name, test] of Object.entries(tests)) {
  try {
    await test();
    console.log(`PASS ${name}`);
  } catch (error) {
    failed += 1;
    console.log(`FAIL ${name}\n${error.stack}`);
  }
}
process.exitCode = failed === 0 ? 0 : 1;
