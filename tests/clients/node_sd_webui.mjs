// Every method of npm's `node-sd-webui`, unmodified. It knows no authentication.
import sdwebui from 'node-sd-webui';

import { assert, end, pngSize, port, refused, side, works } from './report.mjs';

const client = sdwebui({ apiUrl: `http://127.0.0.1:${port}` });
const small = {
  prompt: 'a red circle', negativePrompt: 'blurry', seed: 7, steps: 4, width: side, height: side,
  samplingMethod: 'Euler a', cfgScale: 7,
};
let picture;

await works('txt2img', async () => {
  const { images, info } = await client.txt2img(small);
  assert.deepEqual(pngSize(images[0]), [side, side]);
  assert.equal(JSON.parse(info).seed, 7);
  [picture] = images;
  return JSON.parse(info).infotexts[0];
});
await works('txt2img with every field', async () => {
  const { images } = await client.txt2img({
    ...small, batchSize: 2, batchCount: 2, variationSeed: 3, variationSeedStrength: 0.2,
    resizeSeedFromWidth: 64, resizeSeedFromHeight: 64, restoreFaces: false,
  });
  assert.equal(images.length, 4);
});
await works('txt2img hires', async () => {
  const hires = { denoisingStrength: 0.6, upscaler: 'Latent', upscaleBy: 2, steps: 2 };
  const { images } = await client.txt2img({ ...small, hires });
  assert.deepEqual(pngSize(images[0]), [2 * side, 2 * side]);
});
await works('pngInfo', async () => {
  // It counts the entries of the infotext: an A1111 of its time wrote no "Schedule type".
  const read = await client.pngInfo({ imageData: picture });
  assert.equal(read.prompt, 'a red circle');
  assert.equal(read.negativePrompt, 'blurry');
  assert.equal(read.steps, 4);
  return JSON.stringify(read);
});
await works('img2img', async () => {
  const { images } = await client.img2img({ ...small, imageData: [picture] });
  assert.deepEqual(pngSize(images[0]), [side, side]);
});
// It shows the status text alone.
await refused('txt2img, unknown script',
  () => client.txt2img({ ...small, script: { name: 'Magic', args: [] } }), 'Unprocessable');
await refused('txt2img, ControlNet',
  () => client.txt2img({ ...small, extensions: { controlNet: [{}] } }), 'Not Found');
end();
