// Every method of npm's `stable-diffusion-client`, unmodified.
// It reads no status: what is refused comes back as a result without pictures. Its setAuth does
// not reach the requests, so it is tried without authentication.
import sharp from 'sharp';
import { StableDiffusionApi } from 'stable-diffusion-client';

import { assert, end, port, refused, side, works } from './report.mjs';

const api = new StableDiffusionApi({ host: '127.0.0.1', port, defaultStepCount: 4, timeout: 300000 });
const small = { prompt: 'a red circle', seed: 7, width: side, height: side };
const red = () => sharp({ create: { width: side, height: side, channels: 3, background: 'red' } });
let picture;

function list(entries, key, least = 0) {
  assert.ok(Array.isArray(entries) && entries.length >= least, JSON.stringify(entries));
  for (const each of entries) assert.ok(key in each, key);
  return `${entries.length} entries`;
}

await works('txt2img', async () => {
  const result = await api.txt2img(small);
  picture = result.getSharpImage(0);
  const { width, height, format } = await picture.metadata();
  assert.deepEqual([width, height, format], [side, side, 'png']);
  assert.equal(result.info.seed, 7);
  assert.equal(result.parameters.prompt, 'a red circle');
  return result.info.infotexts[0];
});
await works('txt2img, hires and batch', async () => {
  const result = await api.txt2img({ ...small, enable_hr: true, hr_scale: 2, batch_size: 2 });
  assert.equal(result.images.length, 2);
  assert.equal((await result.getSharpImage(1).metadata()).width, 2 * side);
});
await works('getOptions', async () => `${Object.keys(await api.getOptions()).length} options`);
await works('setOptions', async () => {
  const before = await api.getOptions();
  await api.setOptions({ CLIP_stop_at_last_layers: 2 });
  assert.equal((await api.getOptions()).CLIP_stop_at_last_layers, 2);
  await api.setOptions(before);
  assert.deepEqual(await api.getOptions(), before);
});
await works('getProgress', async () => {
  const { progress, state } = await api.getProgress(true);
  assert.equal(progress, 0);
  assert.equal(state.job_count, 0);
});
await works('waitForReady', () => api.waitForReady(0.2));
await works('getCmdFlags', async () => `${Object.keys(await api.getCmdFlags()).length} flags`);
await works('getSamplers', async () => list(await api.getSamplers(), 'name', 20));
await works('getUpscalers', async () => list(await api.getUpscalers(), 'name', 3));
await works('getSdModels', async () => list(await api.getSdModels(), 'model_name', 1));
await works('getHypernetworks', async () => list(await api.getHypernetworks(), 'name'));
await works('getFaceRestorers', async () => list(await api.getFaceRestorers(), 'name'));
await works('getRealesrganModels', async () => list(await api.getRealesrganModels(), 'name'));
await works('getPromptStyles', async () => list(await api.getPromptStyles(), 'name'));
await works('refreshCheckpoints', () => api.refreshCheckpoints());
await works('getCurrentModel, setModel', async () => {
  const [{ model_name: name }] = await api.getSdModels();
  await api.setModel(name);
  assert.ok((await api.getCurrentModel()).includes(name));
  return name;
});
await works('pngInfo', async () => {
  // It makes a PNG without text of what it is given, so there is nothing to read.
  const { images } = await api.pngInfo(picture);
  assert.equal(images.length, 0);
});
await works('extraSingle', async () => {
  const { images } = await api.extraSingle({ image: red(), upscaler_1: 'Lanczos' });
  assert.equal(images.length, 1);
});
await works('interrogate', async () => {
  const { data } = await api.interrogate(red());
  assert.match(data.caption, /red/);
  return data.caption;
});
// Its img2img always names ControlNet, its extraBatch calls imageList image_list: an A1111 as it
// comes refuses both as we do.
const later = [
  ['img2img', () => api.post('/sdapi/v1/img2img', {}), 'Init image'],
  ['extraBatch', () => api.post('/sdapi/v1/extra-batch-images', { image_list: [] }), 'imageList'],
];
const asResult = {
  img2img: () => api.img2img({ ...small, init_images: [red()] }),
  extraBatch: () => api.extraBatch({ images: [red()], name_list: ['red'] }),
};
for (const [name, ask, mention] of later) {
  await works(`${name}: no picture and no exception`, async () => {
    assert.deepEqual((await asResult[name]()).images, []);
  });
  await refused(`${name}: what was answered`, ask, mention);
}
await refused('ControlNet.detect',
  () => api.post('/controlnet/detect', { controlnet_input_images: [] }), 'Not Found');
await works('ControlNet.getModels, getModules: none', async () => {
  assert.equal(await api.ControlNet.getModels(), undefined);
  assert.equal(await api.ControlNet.getModules(), undefined);
});
end();
