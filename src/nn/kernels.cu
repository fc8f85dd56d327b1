// What candle has no fast kernel for: unfolding, affine maps by channel, moments. `real` is float or double.
// A thread takes one element along x of the grid; rows and samples lie along y and z.

#define EACH(i, count) \
    int i = blockIdx.x * blockDim.x + threadIdx.x; \
    if (i >= (count)) return;

#define WINDOWS \
    int channels, int D, int H, int W, int OD, int OH, int OW, int kd, int kh, int kw, int sd, int sh, int sw, \
        int pd, int ph, int pw

// [n, c, d, h, w] to [n, c * elements, positions]; what lies outside is 0.
extern "C" __global__ void unfold(real *columns, const real *x, WINDOWS) {
    int positions = OD * OH * OW, elements = kd * kh * kw, rows = channels * elements;
    EACH(at, positions)
    int oz = at / (OH * OW), oy = at / OW % OH, ox = at % OW;
    for (int row = blockIdx.y; row < rows; row += gridDim.y) {
        int channel = row / elements, element = row % elements;
        int z = oz * sd + element / (kh * kw) - pd, y = oy * sh + element / kw % kh - ph, w = ox * sw + element % kw - pw;
        bool inside = z >= 0 && z < D && y >= 0 && y < H && w >= 0 && w < W;
        size_t volume = (size_t)blockIdx.z * channels + channel;
        columns[((size_t)blockIdx.z * rows + row) * positions + at] =
            inside ? x[((volume * D + z) * H + y) * W + w] : (real)0;
    }
}

// The transpose: each voxel sums over the window elements that read it.
extern "C" __global__ void fold(real *x, const real *columns, WINDOWS) {
    int positions = OD * OH * OW, elements = kd * kh * kw, voxels = D * H * W;
    EACH(at, voxels)
    int z = at / (H * W) + pd, y = at / W % H + ph, w = at % W + pw;
    for (int channel = blockIdx.y; channel < channels; channel += gridDim.y) {
        real sum = 0;
        for (int a = 0; a < kd; a++) {
            int oz = (z - a) / sd;
            if (z < a || (z - a) % sd || oz >= OD) continue;
            for (int b = 0; b < kh; b++) {
                int oy = (y - b) / sh;
                if (y < b || (y - b) % sh || oy >= OH) continue;
                for (int c = 0; c < kw; c++) {
                    int ox = (w - c) / sw;
                    if (w < c || (w - c) % sw || ox >= OW) continue;
                    size_t row = ((size_t)blockIdx.z * channels + channel) * elements + (a * kh + b) * kw + c;
                    sum += columns[row * positions + (oz * OH + oy) * OW + ox];
                }
            }
        }
        x[((size_t)blockIdx.z * channels + channel) * voxels + at] = sum;
    }
}

// activation(x * scale + shift + skip); activation: 0 none, 1 swish, 2 ReLU, which keeps what is no number.
extern "C" __global__ void affine(real *y, const real *x, const real *skip, const real *scale, const real *shift,
                                 int plane, int rows, int numbers, int skips, int activation) {
    EACH(at, plane)
    for (int row = blockIdx.y; row < rows; row += gridDim.y) {
        size_t i = (size_t)row * plane + at;
        real value = x[i] * scale[row % numbers] + shift[row % numbers];
        if (skips) value += skip[i];
        if (activation == 1) value = value / ((real)1 + exp(-value));
        if (activation == 2 && value < (real)0) value = 0;
        y[i] = value;
    }
}

// gradient * swish'(x * scale + shift)
extern "C" __global__ void swish_slope(real *y, const real *x, const real *gradient, const real *scale,
                                       const real *shift, int plane, int rows, int numbers) {
    EACH(at, plane)
    for (int row = blockIdx.y; row < rows; row += gridDim.y) {
        size_t i = (size_t)row * plane + at;
        real value = x[i] * scale[row % numbers] + shift[row % numbers];
        real s = (real)1 / ((real)1 + exp(-value));
        y[i] = gradient[i] * s * ((real)1 + value * ((real)1 - s));
    }
}

// a * scale + b * slope + shift
extern "C" __global__ void blend(real *y, const real *a, const real *b, const real *scale, const real *slope,
                                 const real *shift, int plane, int rows, int numbers) {
    EACH(at, plane)
    for (int row = blockIdx.y; row < rows; row += gridDim.y) {
        size_t i = (size_t)row * plane + at;
        int of = row % numbers;
        y[i] = a[i] * scale[of] + b[i] * slope[of] + shift[of];
    }
}

// By row: mean(a), then after all of these cov(a, b). One block a row, sums in double.
extern "C" __global__ void moments(real *y, const real *a, const real *b, int n, int rows) {
    __shared__ double sums[3][256];
    for (int row = blockIdx.y; row < rows; row += gridDim.y) {
        double s[3] = {0, 0, 0};
        for (size_t i = threadIdx.x; i < n; i += blockDim.x) {
            double u = a[(size_t)row * n + i], v = b[(size_t)row * n + i];
            s[0] += u; s[1] += v; s[2] += u * v;
        }
        for (int k = 0; k < 3; k++) sums[k][threadIdx.x] = s[k];
        __syncthreads();
        for (int half = blockDim.x / 2; half > 0; half /= 2) {
            if (threadIdx.x < half)
                for (int k = 0; k < 3; k++) sums[k][threadIdx.x] += sums[k][threadIdx.x + half];
            __syncthreads();
        }
        if (threadIdx.x == 0) {
            double mean_a = sums[0][0] / n, mean_b = sums[1][0] / n;
            y[row] = mean_a;
            y[rows + row] = sums[2][0] / n - mean_a * mean_b;
        }
        __syncthreads();
    }
}
