/* The compiled reference: the min-plus dynamic program for three places, one loop over the batch.
 * Same input, same arithmetic and same output as the solver it is compared with. */
#include <stdint.h>

static inline float transfer(float bytes, float bandwidth) {
  return bytes > 0 ? (bandwidth > 0 ? bytes / bandwidth : __builtin_inff()) : 0;
}

void solve(const float *cycles, const float *data, const float *device_speed,
           const float *edge_speed, const float *hop1, const float *hop2, int8_t *decision,
           float *cost, long first, long last, int num_subtasks) {
  const int A = num_subtasks;
  for (long n = first; n < last; n++) {
    const float *c = cycles + n * A, *d = data + n * (A + 1);
    const float x = transfer(d[A], hop1[n]), y = transfer(d[A], hop2[n]);
    float v0 = 0, v1 = x, v2 = x + y;
    uint32_t w0 = 0, w1 = 0, w2 = 0;
    for (int t = A - 1; t >= 0; t--) {
      const float up = transfer(d[t], hop1[n]), wan = transfer(d[t], hop2[n]), both = up + wan;
      const float a0 = c[t] / device_speed[n] + v0, a1 = c[t] / edge_speed[n] + v1, a2 = v2;
      const uint32_t e0 = w0, e1 = w1 | 1u << 2 * t, e2 = w2 | 2u << 2 * t;
      float b;
      v0 = a0, w0 = e0;
      b = a1 + up, w0 = b < v0 ? e1 : w0, v0 = b < v0 ? b : v0;
      b = a2 + both, w0 = b < v0 ? e2 : w0, v0 = b < v0 ? b : v0;
      v1 = a0 + up, w1 = e0;
      w1 = a1 < v1 ? e1 : w1, v1 = a1 < v1 ? a1 : v1;
      b = a2 + wan, w1 = b < v1 ? e2 : w1, v1 = b < v1 ? b : v1;
      v2 = a0 + both, w2 = e0;
      b = a1 + wan, w2 = b < v2 ? e1 : w2, v2 = b < v2 ? b : v2;
      w2 = a2 < v2 ? e2 : w2, v2 = a2 < v2 ? a2 : v2;
    }
    cost[n] = v0;
    for (int t = 0; t < A; t++) decision[n * A + t] = w0 >> 2 * t & 3;
  }
}
