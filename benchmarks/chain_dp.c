/* The compiled reference: the min-plus dynamic program for three places as a C loop over the batch.
 * Same input, recursion and output as the solver it is compared with. LANES problems go side by
 * side, so that the compiler turns every statement of the inner loops into vector instructions; one
 * problem after the other is five times slower, because each step waits for the one before. The next
 * place from each of the three places is written into one byte for each subtask, and followed. */
#include <stdint.h>
#include <stdlib.h>

#define LANES 64

static inline float priced(float bytes, float bandwidth, float seconds_per_byte) {
  return bytes > 0 ? (bandwidth > 0 ? bytes * seconds_per_byte : __builtin_inff()) : 0;
}

static void solve_lanes(const float *restrict cycles, const float *restrict data,
                        const float *restrict device_speed, const float *restrict edge_speed,
                        const float *restrict hop1, const float *restrict hop2,
                        int8_t *restrict decision, float *restrict cost,
                        uint8_t (*restrict next)[LANES], int A, int lanes) {
  float p1[LANES], p2[LANES], b1[LANES], b2[LANES], v0[LANES], v1[LANES], v2[LANES];
  int32_t place[LANES];
  for (int i = 0; i < lanes; i++) {
    p1[i] = 1 / device_speed[i], p2[i] = 1 / edge_speed[i];
    b1[i] = 1 / hop1[i], b2[i] = 1 / hop2[i];
    const float x = priced(data[i * (A + 1) + A], hop1[i], b1[i]);
    const float y = priced(data[i * (A + 1) + A], hop2[i], b2[i]);
    v0[i] = 0, v1[i] = x, v2[i] = x + y, place[i] = 0;
  }
  for (int t = A - 1; t >= 0; t--)
#pragma GCC ivdep
    for (int i = 0; i < lanes; i++) {
      const float c = cycles[i * A + t], d = data[i * (A + 1) + t];
      const float up = priced(d, hop1[i], b1[i]), wan = priced(d, hop2[i], b2[i]);
      const float both = up + wan, a0 = c * p1[i] + v0[i], a1 = c * p2[i] + v1[i], a2 = v2[i];
      float b = a0, s;
      int32_t e = 0, pointers;
      s = a1 + up, e = s < b ? 1 : e, b = s < b ? s : b;
      s = a2 + both, e = s < b ? 2 : e, b = s < b ? s : b;
      v0[i] = b, pointers = e;
      b = a0 + up, e = 0;
      e = a1 < b ? 1 << 2 : e, b = a1 < b ? a1 : b;
      s = a2 + wan, e = s < b ? 2 << 2 : e, b = s < b ? s : b;
      v1[i] = b, pointers |= e;
      b = a0 + both, e = 0;
      s = a1 + wan, e = s < b ? 1 << 4 : e, b = s < b ? s : b;
      e = a2 < b ? 2 << 4 : e, b = a2 < b ? a2 : b;
      v2[i] = b, pointers |= e;
      next[t][i] = pointers;
    }
  for (int i = 0; i < lanes; i++) cost[i] = v0[i];
  for (int t = 0; t < A; t++)
#pragma GCC ivdep
    for (int i = 0; i < lanes; i++) {
      place[i] = next[t][i] >> 2 * place[i] & 3;
      next[t][i] = place[i];
    }
  for (int i = 0; i < lanes; i++)
    for (int t = 0; t < A; t++) decision[i * A + t] = next[t][i];
}

void solve(const float *cycles, const float *data, const float *device_speed,
           const float *edge_speed, const float *hop1, const float *hop2, int8_t *decision,
           float *cost, long first, long last, int A) {
  uint8_t (*next)[LANES] = malloc((size_t)A * LANES);
  for (long n = first; n < last; n += LANES) {
    const float *c = cycles + n * A, *d = data + n * (A + 1);
    if (last - n >= LANES) /* a constant count for the compiler to unroll */
      solve_lanes(c, d, device_speed + n, edge_speed + n, hop1 + n, hop2 + n, decision + n * A,
                  cost + n, next, A, LANES);
    else
      solve_lanes(c, d, device_speed + n, edge_speed + n, hop1 + n, hop2 + n, decision + n * A,
                  cost + n, next, A, (int)(last - n));
  }
  free(next);
}
