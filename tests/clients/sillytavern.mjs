// SillyTavern's own server, unmodified, pointed at ours: the /api/sd/* endpoints its image
// generation uses with the source "Stable Diffusion Web UI (AUTOMATIC1111)". The body of `generate`
// is what its page sends with the default settings.
import { assert, auth, end, pngSize, port, refused, side, works } from './report.mjs';

const tavern = process.env.SILLYTAVERN;
const where = { url: `http://127.0.0.1:${port}`, auth };

async function ask(endpoint, body = {}, signal = undefined) {
  const reply = await fetch(`${tavern}/api/sd/${endpoint}`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ ...where, ...body }),
    signal,
  });
  const text = await reply.text();
  if (!reply.ok) throw new Error(`${reply.status} ${text}`);
  return text.startsWith('[') || text.startsWith('{') ? JSON.parse(text) : text;
}

function payload(changes = {}) {
  return {
    prompt: 'a red circle', negative_prompt: 'blurry', sampler_name: 'DDIM', scheduler: 'normal',
    steps: 4, cfg_scale: 7, width: side, height: side, restore_faces: false, enable_hr: false,
    hr_upscaler: 'Latent', hr_scale: 1, hr_additional_modules: [], denoising_strength: 0.7,
    hr_second_pass_steps: 0, seed: undefined,
    override_settings: { CLIP_stop_at_last_layers: 1, sd_vae: undefined },
    override_settings_restore_afterwards: true, clip_skip: 1, save_images: true,
    send_images: true, do_not_save_grid: false, do_not_save_samples: false, ...changes,
  };
}

await works('ping', () => ask('ping'));
let models;
await works('models', async () => {
  models = await ask('models');
  assert.ok(models.length >= 1 && models[0].value, JSON.stringify(models));
  return models.map((each) => each.value).join(', ');
});
await works('get-model', () => ask('get-model'));
await works('set-model', async () => {
  await ask('set-model', { model: models[0].value });
  assert.ok(models[0].value.startsWith(await ask('get-model')));
});
await works('samplers', async () => `${(await ask('samplers')).length} samplers`);
await works('schedulers', async () => `${(await ask('schedulers')).length} schedulers`);
await works('upscalers', async () => {
  const names = await ask('upscalers');
  assert.equal(names[0], 'None');
  assert.equal(names[1], 'Latent');
  assert.ok(names.includes('Lanczos'));
  return names.join(', ');
});
await works('sd-next/upscalers', async () => `${(await ask('sd-next/upscalers')).length} names`);
await works('vaes', async () => {
  const names = await ask('vaes');
  assert.ok(Array.isArray(names));
  return `${names.length} VAEs`;
});
await works('generate', async () => {
  const { images, info } = await ask('generate', payload());
  assert.deepEqual(pngSize(images[0]), [side, side]);
  return JSON.parse(info).infotexts[0];
});
await works('generate, hires', async () => {
  const hires = { enable_hr: true, hr_scale: 2, hr_upscaler: 'Nearest', seed: 7 };
  const { images } = await ask('generate', payload(hires));
  assert.deepEqual(pngSize(images[0]), [2 * side, 2 * side]);
});
await works('generate, its page left: the job is interrupted', async () => {
  const leaving = new AbortController();
  const many = payload({ n_iter: 100, steps: 100, width: 256, height: 256 });
  const asked = ask('generate', many, leaving.signal).catch((error) => error.name);
  const headers = auth ? { Authorization: `Basic ${btoa(auth)}` } : {};
  const progress = async () => (await fetch(`${where.url}/sdapi/v1/progress`, { headers })).json();
  while (!(await progress()).state.sampling_step);
  leaving.abort();
  assert.equal(await asked, 'AbortError');
  const deadline = Date.now() + 10_000;
  while ((await progress()).state.job_count) assert.ok(Date.now() < deadline, 'it runs on');
});
await refused('generate, unknown sampler', () => ask('generate', payload({ sampler_name: 'Magic' })), '500');
if (auth) {
  const wrong = { ...where, auth: 'user:wrong' };
  await refused('ping, wrong password', () => ask('ping', wrong), '500');
}
end();
