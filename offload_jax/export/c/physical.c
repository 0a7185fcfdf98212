
static const float TINY = $tiny, LOWEST = $lowest, HIGHEST = $highest;

static float log_ratio(float ratio) {
  if (ratio < LOWEST) ratio = LOWEST;
  if (ratio > HIGHEST) ratio = HIGHEST;
  return ratio == ratio ? 0.5f * logarithm(ratio) : ratio; /* NaN stays. */
}

static float smaller(float a, float b) { return b < a ? b : a; }
static float larger(float a, float b) { return b > a ? b : a; }
static float times(float amount, float each) { return amount > 0 ? amount * each : 0; }
static float inverse(float rate) { return rate > 0 ? 1 / rate : (float)infinity(); }

/* Logarithms of times, as shares of the least of three latencies: all on the device, all on the edge,
 * all in the cloud. */
static void see(const float *cycles, const float *data, const float *rates, float *inputs) {
  const float device = 1 / rates[0], edge = 1 / rates[1];
  const float hop1 = inverse(rates[2]), hop2 = inverse(rates[3]);
  float all_device = 0, all_edge = 0, *moves = inputs + SUBTASKS;
  for (int t = 0; t < SUBTASKS; t++) {
    inputs[t] = times(cycles[t], device);
    all_device += inputs[t];
    all_edge += times(cycles[t], edge);
  }
  for (int t = 0; t <= SUBTASKS; t++) moves[t] = times(data[t], hop1);
  const float ends1 = moves[0] + moves[SUBTASKS];
  const float ends2 = times(data[0], hop2) + times(data[SUBTASKS], hop2);
  all_edge += ends1;
  const float scale = larger(smaller(all_device, smaller(all_edge, ends1 + ends2)), TINY);
  for (int i = 0; i < 2 * SUBTASKS + 1; i++) inputs[i] = log_ratio(inputs[i] / scale);
  inputs += 2 * SUBTASKS + 1;
  inputs[0] = log_ratio(rates[0] / rates[1]);
  inputs[1] = log_ratio(rates[2] / larger(rates[3], TINY));
  inputs[2] = log_ratio(all_device / scale);
  inputs[3] = log_ratio(all_edge / scale);
}
