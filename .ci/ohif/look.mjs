// Opens a study in OHIF and looks at its pixels: `node look.mjs ADDRESS STUDY CT_FOLDER FRAMES_FOLDER PICTURES`. The frames are those of the
// segmentation as DCMTK decodes them. `MODULES` is the folder that playwright-core is installed in.
import { readFileSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';

const { chromium } = createRequire(`${process.env.MODULES}/`)('playwright-core');
const [, , base, study, ctFolder, framesFolder, pictures] = process.argv;
const PATIENCE_MS = 60_000;

/// A slice of the series that series.mjs wrote: its pixels are the last bytes of its file.
const [COLUMNS, ROWS] = [60, 50];
const ct = readdirSync(ctFolder).sort().map(name => {
  const bytes = readFileSync(`${ctFolder}/${name}`);
  const start = bytes.length - 2 * COLUMNS * ROWS;
  return Array.from({ length: COLUMNS * ROWS }, (_, at) => bytes.readInt16LE(start + 2 * at));
});

/// A picture of 8-bit grey (PGM) as which of its pixels are set.
function set(name) {
  const bytes = readFileSync(name);
  const head = /^P5\n(\d+) (\d+)\n255\n/.exec(bytes.subarray(0, 40).toString('latin1'));
  if (!head || Number(head[1]) !== COLUMNS || Number(head[2]) !== ROWS) throw new Error(`${name} is no frame of the scan's size`);
  return [...bytes.subarray(head[0].length)].map(grey => grey > 0);
}

const json = async path => (await fetch(`${base}/dicom-web/${path}`, { headers: { accept: 'application/dicom+json' } })).json();
const value = (object, tag) => object[tag]?.Value?.[0];

/// Which voxels lie in any segment, slice by slice.
async function mask(spacing) {
  const series = await json(`studies/${study}/series?Modality=SEG`);
  const [object] = await json(`studies/${study}/series/${value(series[0], '0020000E')}/metadata`);
  const held = ct.map(() => new Array(COLUMNS * ROWS).fill(false));
  object['52009230'].Value.forEach((frame, at) => {
    const place = value(frame, '00209113')['00200032'].Value;
    const slice = held[Math.round(place[2] / spacing[2])];
    set(`${framesFolder}/f.${at}.pgm`).forEach((is, voxel) => { slice[voxel] ||= is; });
  });
  return held;
}

const failures = [];
function check(what, holds, numbers) {
  console.log(`${holds ? 'ok ' : 'BAD'} ${what}: ${numbers}`);
  if (!holds) failures.push(what);
}

const browser = await chromium.launch({
  executablePath: ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(path => readdirSync('/usr/bin').includes(path.slice(9))),
  args: ['--no-sandbox', '--use-gl=angle', '--use-angle=swiftshader', '--enable-unsafe-swiftshader', '--ignore-gpu-blocklist'],
});
const said = [];
let page;

/// A page of its own for each object: what one leaves behind colours no other.
async function open() {
  await page?.close();
  page = await browser.newPage({ viewport: { width: 1400, height: 900 } });
  page.setDefaultTimeout(PATIENCE_MS);
  page.on('console', message => { if (message.type() === 'error') said.push(message.text().slice(0, 300)); });
  page.on('response', response => { if (response.status() >= 400) said.push(`HTTP ${response.status()} ${response.url().slice(-160)}`); });
  page.on('pageerror', error => said.push(String(error).slice(0, 300)));
  // The tour would lie over all of it.
  await page.addInitScript(() => window.localStorage.setItem('shownTours', JSON.stringify(['basicViewerTour'])));
  await page.goto(`${base}/viewer?StudyInstanceUIDs=${study}`, { waitUntil: 'domcontentloaded' });
}

const first = await json(`studies/${study}/series?Modality=CT`);
const [plane] = await json(`studies/${study}/series/${value(first[0], '0020000E')}/metadata`);
const spacing = [plane['00280030'].Value[1], plane['00280030'].Value[0], plane['00180050'].Value[0]];

/// The colours of all voxels of the slice that is shown: where it lies along the body, and red, green, blue of each centre.
const seen = () => page.evaluate(([columns, rows, step]) => {
  const engines = window.cornerstone.getRenderingEngines();
  const viewport = engines.flatMap(engine => engine.getViewports())[0];
  const k = Math.round(viewport.getCamera().focalPoint[2] / step[2]);
  const canvas = viewport.getCanvas();
  const ratio = canvas.width / canvas.clientWidth;
  const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  const colours = [];
  for (let row = 0; row < rows; row += 1) {
    for (let column = 0; column < columns; column += 1) {
      const at = viewport.worldToCanvas([column * step[0], row * step[1], k * step[2]]).map(x => Math.round(x * ratio));
      const first = 4 * (at[0] + canvas.width * at[1]);
      const isSeen = at[0] >= 0 && at[1] >= 0 && at[0] < canvas.width && at[1] < canvas.height;
      colours.push(isSeen ? [...data.slice(first, first + 3)] : null);
    }
  }
  return { k, colours };
}, [COLUMNS, ROWS, spacing]);

/// How far a colour is from grey, 0 to 255.
const colourful = colour => colour === null ? 0 : Math.max(...colour) - Math.min(...colour);

/// The whole picture, as numbers that differ where pictures do.
const picture = () => page.evaluate(() => {
  const canvas = window.cornerstone.getRenderingEngines().flatMap(engine => engine.getViewports())[0].getCanvas();
  const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  let [sum, colours, lit] = [0, 0, 0];
  for (let at = 0; at < data.length; at += 4) {
    sum = (sum * 31 + data[at] + 7 * data[at + 1] + 13 * data[at + 2]) % 2147483647;
    colours += Math.max(data[at], data[at + 1], data[at + 2]) - Math.min(data[at], data[at + 1], data[at + 2]) > 40 ? 1 : 0;
    lit += data[at] > 20 ? 1 : 0;
  }
  return { sum, colours: colours / (data.length / 4), lit: lit / (data.length / 4) };
});

/// Looks again and again until what is seen is as it should be, or it takes too long.
async function until(look, is) {
  const began = Date.now();
  for (;;) {
    const found = await look().catch(() => null);
    if ((found !== null && is(found)) || Date.now() - began > PATIENCE_MS) return found;
    await page.waitForTimeout(300);
  }
}

/// Opens an object, and looks until what is seen is as it should be. A busy machine may need another try.
async function shown(name, words, look, is) {
  for (let round = 1; ; round += 1) {
    await open();
    await until(picture, found => found.lit > 0.02);
    await page.getByText(words).first().dblclick();
    await page.getByText(/^Yes$/).first().click({ timeout: 8000 }).catch(() => {});
    const found = await until(look, is);
    await page.screenshot({ path: `${pictures}/${name}.png` });
    if (round === 3 || (found !== null && is(found))) return found;
  }
}

await open();

// The CT, at the window 400/40 that its files name: greys of all voxels. What is shown between voxels is interpolated.
const grey = hu => Math.max(0, Math.min(255, (hu - 40) / 400 * 255 + 127.5));
const off = ({ k, colours }) => {
  const all = colours.map((colour, at) => colour === null ? 0 : Math.abs(colour[0] - grey(ct[k][at])));
  return all.reduce((sum, one) => sum + one, 0) / all.length;
};
const turnTo = index => page.evaluate(async at => {
  await window.cornerstone.getRenderingEngines().flatMap(engine => engine.getViewports())[0].setImageIdIndex(at);
}, index);
await until(picture, found => found.lit > 0.02);
await turnTo(Math.floor(ct.length / 2)).catch(() => {});
const slice = await until(seen, found => off(found) < 12 && found.colours.some(colour => colour !== null && colour[0] > 100));
await page.screenshot({ path: `${pictures}/ct.png` });
check('CT', off(slice) < 12 && slice.colours.some(colour => colour[0] > 100), `slice ${slice.k}, greys are off by ${off(slice).toFixed(1)} of 255 on average`);

// The animation: another picture at another step.
const isAnimation = () => page.evaluate(() => {
  const viewport = window.cornerstone.getRenderingEngines().flatMap(engine => engine.getViewports())[0];
  return viewport.getImageIds().length;
});
const steps = await shown('animation', 'SYNTHETIC counterfactual', isAnimation, count => count > 1 && count < ct.length);
await turnTo(0);
const begins = await until(picture, found => found.lit > 0.05);
await turnTo(1);
const goesOn = await until(picture, found => found.sum !== begins.sum);
check('animation', begins.lit > 0.05 && goesOn.sum !== begins.sum, `${steps} steps, ${(100 * begins.lit).toFixed(0)} % is lit, and they differ`);

// The maps: over the CT, with colours where there is something.
for (const [name, words] of [['difference', 'SYNTHETIC difference'], ['heatmap', 'SYNTHETIC heatmap']]) {
  const found = await shown(name, words, picture, one => one.colours > 0.02);
  check(name, found !== null && found.colours > 0.02, `${(100 * (found?.colours ?? 0)).toFixed(0)} % of the picture has colours`);
}

// The segmentation: colours in its voxels, and in no others.
const held = await mask(spacing);
const agree = ({ k, colours }) => {
  let [both, either, wanted] = [0, 0, 0];
  colours.forEach((colour, at) => {
    const isColoured = colourful(colour) > 25;
    both += isColoured && held[k][at] ? 1 : 0;
    either += isColoured || held[k][at] ? 1 : 0;
    wanted += held[k][at] ? 1 : 0;
  });
  return { share: wanted === 0 ? 0 : both / either, wanted };
};
const drawn = await shown('change', 'SYNTHETIC change', seen, found => agree(found).share > 0.9);
const { share, wanted } = agree(drawn);
check('segmentation', wanted > 20 && share > 0.9, `slice ${drawn.k}, ${wanted} voxels, coloured and held agree in ${(100 * share).toFixed(1)} %`);

await browser.close();
if (failures.length > 0) {
  console.error(`not as it should be: ${failures.join(', ')}\n${said.slice(-10).join('\n')}`);
  process.exit(1);
}
