/* Calls an exported chain policy for a batch: DECIDE of HEADER, float32 rows as the solvers take. */
#include HEADER

void decide_batch(long num, long A, const float *cycles, const float *data, const float *device_speed,
    const float *edge_speed, const float *hop1, const float *hop2, int8_t *decision) {
  double work[A], sizes[A + 1];
  for (long n = 0; n < num; n++) {
    for (long t = 0; t < A; t++) work[t] = cycles[n * A + t];
    for (long t = 0; t <= A; t++) sizes[t] = data[n * (A + 1) + t];
    DECIDE((size_t)A, work, sizes, device_speed[n], edge_speed[n], hop1[n], hop2[n],
        decision + n * A);
  }
}
