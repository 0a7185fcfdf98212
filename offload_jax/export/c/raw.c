
/* Each quantity, scaled to -1 to 1 by the range that it had in training. */
static const float LOW[6] = {$low}, FACTOR[6] = {$factor};

static void see(const float *cycles, const float *data, const float *rates, float *inputs) {
  for (int t = 0; t < SUBTASKS; t++) inputs[t] = (cycles[t] - LOW[0]) * FACTOR[0] - 1;
  inputs += SUBTASKS;
  for (int t = 0; t <= SUBTASKS; t++) inputs[t] = (data[t] - LOW[1]) * FACTOR[1] - 1;
  inputs += SUBTASKS + 1;
  for (int i = 0; i < 4; i++) inputs[i] = (rates[i] - LOW[2 + i]) * FACTOR[2 + i] - 1;
}
