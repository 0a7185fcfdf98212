
/* The most probable place of a task. */
static int choose(const Platform *platform, float places[][NUM_PLACE], const float *step,
    const float *embedding) {
  float inputs[NUM_STEP + EMBEDDING], of_task[HIDDEN], hidden[PLACES][HIDDEN], mean[HIDDEN];
  float of_all[SECOND], second[SECOND], score, skip, best = 0;
  int chosen = -1;
  for (int i = 0; i < NUM_STEP; i++) inputs[i] = step[i];
  for (int i = 0; i < EMBEDDING; i++) inputs[NUM_STEP + i] = embedding[i];
  layer(NUM_STEP + EMBEDDING, HIDDEN, task_in_kernel, task_in_bias, 0, inputs, of_task);
  for (int i = 0; i < HIDDEN; i++) mean[i] = 0;
  for (int k = 0; k < PLACES; k++) {
    layer(NUM_PLACE, HIDDEN, place_in_kernel, of_task, 1, places[k], hidden[k]);
    for (int i = 0; i < HIDDEN; i++) mean[i] += hidden[k][i];
  }
  for (int i = 0; i < HIDDEN; i++) mean[i] /= PLACES;
  layer(HIDDEN, SECOND, mean_middle_kernel, mean_middle_bias, 0, mean, of_all);
  for (int k = 0; k < PLACES; k++) {
    if (!platform->live[k]) continue;
    layer(HIDDEN, SECOND, place_middle_kernel, of_all, 1, hidden[k], second);
    layer(SECOND, 1, place_out_kernel, NULL, 0, second, &score);
    layer(NUM_PLACE, 1, place_skip, NULL, 0, places[k], &skip);
    if (chosen < 0 || score + skip > best) {
      best = score + skip;
      chosen = k;
    }
  }
  return chosen;
}
