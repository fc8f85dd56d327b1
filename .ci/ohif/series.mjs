// Writes the phantom of a NIfTI as a CT series whose columns 8 does not divide: `node series.mjs IN.nii.gz OUTDIR`.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';

const [, , from, to] = process.argv;
// Rows end within a byte, and a slice of the two has a multiple of 4 voxels: OHIF 3.13 reads maps of real numbers of no other size.
const COLUMNS = 60;
const ROWS = 50;
const SLICES = 24;
const ROOT = '1.2.826.0.1.3680043.9.1313';

const bytes = gunzipSync(readFileSync(from));
const size = [0, 1, 2].map(axis => bytes.readInt16LE(42 + 2 * axis));
const spacing = [0, 1, 2].map(axis => bytes.readFloatLE(80 + 4 * axis));
const kind = bytes.readInt16LE(70);
const start = bytes.readFloatLE(108);
const [slope, intercept] = [bytes.readFloatLE(112) || 1, bytes.readFloatLE(116)];
const voxel = (i, j, k) => {
  const at = i + size[0] * (j + size[1] * k);
  const stored = kind === 4 ? bytes.readInt16LE(start + 2 * at) : bytes.readFloatLE(start + 4 * at);
  return Math.round(stored * slope + intercept);
};

/// An element of explicit VR, little-endian (PS3.5, 7.1.2).
function element(group, tag, vr, value) {
  const pad = vr === 'UI' ? '\0' : ' ';
  let data = value;
  if (typeof value === 'number') {
    data = Buffer.alloc(2);
    data.writeUInt16LE(value);
  } else if (typeof value === 'string') {
    data = Buffer.from(value.length % 2 ? value + pad : value, 'latin1');
  }
  const isLong = vr === 'OW' || vr === 'OB';
  const head = Buffer.alloc(isLong ? 12 : 8);
  head.writeUInt16LE(group, 0);
  head.writeUInt16LE(tag, 2);
  head.write(vr, 4, 'latin1');
  if (isLong) head.writeUInt32LE(data.length, 8);
  else head.writeUInt16LE(data.length, 6);
  return Buffer.concat([head, data]);
}

const CT = '1.2.840.10008.5.1.4.1.1.2';
const step = [size[0] * spacing[0] / COLUMNS, size[1] * spacing[1] / ROWS, size[2] * spacing[2] / SLICES];
mkdirSync(to, { recursive: true });
for (let k = 0; k < SLICES; k += 1) {
  const pixels = Buffer.alloc(2 * COLUMNS * ROWS);
  for (let row = 0; row < ROWS; row += 1) {
    for (let column = 0; column < COLUMNS; column += 1) {
      // The phantom counts to the right and to the front, DICOM to the left and to the back.
      const i = size[0] - 1 - Math.floor((column + 0.5) * size[0] / COLUMNS);
      const j = size[1] - 1 - Math.floor((row + 0.5) * size[1] / ROWS);
      pixels.writeInt16LE(voxel(i, j, Math.floor((k + 0.5) * size[2] / SLICES)), 2 * (column + COLUMNS * row));
    }
  }
  const uid = `${ROOT}.3.${k + 1}`;
  const meta = Buffer.concat([
    element(2, 1, 'OB', Buffer.from([0, 1])),
    element(2, 2, 'UI', CT),
    element(2, 3, 'UI', uid),
    element(2, 0x10, 'UI', '1.2.840.10008.1.2.1'),
    element(2, 0x12, 'UI', `${ROOT}.4`),
  ]);
  const length = Buffer.alloc(12);
  length.writeUInt16LE(2, 0);
  length.write('UL', 4, 'latin1');
  length.writeUInt16LE(4, 6);
  length.writeUInt32LE(meta.length, 8);
  const said = [
    [0x0008, 0x0008, 'CS', 'ORIGINAL\\PRIMARY\\AXIAL'], [0x0008, 0x0016, 'UI', CT], [0x0008, 0x0018, 'UI', uid],
    [0x0008, 0x0020, 'DA', '20260131'], [0x0008, 0x0030, 'TM', '101112'], [0x0008, 0x0050, 'SH', ''],
    [0x0008, 0x0060, 'CS', 'CT'], [0x0008, 0x0070, 'LO', ''], [0x0008, 0x0090, 'PN', ''], [0x0008, 0x103e, 'LO', 'Phantom CT'],
    [0x0010, 0x0010, 'PN', 'Phantom^One'], [0x0010, 0x0020, 'LO', 'PX-1'], [0x0010, 0x0030, 'DA', ''], [0x0010, 0x0040, 'CS', ''],
    [0x0018, 0x0050, 'DS', step[2].toFixed(6)], [0x0018, 0x0060, 'DS', '120'], [0x0018, 0x5100, 'CS', 'HFS'],
    [0x0020, 0x000d, 'UI', `${ROOT}.1`], [0x0020, 0x000e, 'UI', `${ROOT}.2`], [0x0020, 0x0010, 'SH', '1'],
    [0x0020, 0x0011, 'IS', '1'], [0x0020, 0x0013, 'IS', `${k + 1}`],
    [0x0020, 0x0032, 'DS', `0\\0\\${(k * step[2]).toFixed(6)}`], [0x0020, 0x0037, 'DS', '1\\0\\0\\0\\1\\0'],
    [0x0020, 0x0052, 'UI', `${ROOT}.5`], [0x0020, 0x1040, 'LO', ''],
    [0x0028, 0x0002, 'US', 1], [0x0028, 0x0004, 'CS', 'MONOCHROME2'], [0x0028, 0x0010, 'US', ROWS], [0x0028, 0x0011, 'US', COLUMNS],
    [0x0028, 0x0030, 'DS', `${step[1].toFixed(6)}\\${step[0].toFixed(6)}`], [0x0028, 0x0100, 'US', 16], [0x0028, 0x0101, 'US', 16],
    [0x0028, 0x0102, 'US', 15], [0x0028, 0x0103, 'US', 1], [0x0028, 0x1050, 'DS', '40'], [0x0028, 0x1051, 'DS', '400'],
    [0x0028, 0x1052, 'DS', '0'], [0x0028, 0x1053, 'DS', '1'], [0x0028, 0x1054, 'LO', 'HU'], [0x7fe0, 0x0010, 'OW', pixels],
  ].map(all => element(...all));
  const name = `${to}/${String(k).padStart(3, '0')}.dcm`;
  writeFileSync(name, Buffer.concat([Buffer.alloc(128), Buffer.from('DICM'), length, meta, ...said]), { mode: 0o600 });
}
console.log(`${ROOT}.1`);
