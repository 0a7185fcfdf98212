
int ${name}_decide(size_t num_subtasks, const double *cycles, const double *data,
    double device_speed, double edge_speed, double device_edge_bandwidth,
    double edge_cloud_bandwidth, int8_t *decision) {
  const int error = check(num_subtasks, cycles, data, device_speed, edge_speed,
      device_edge_bandwidth, edge_cloud_bandwidth);
  if (error) return error;
  float work[SUBTASKS], sizes[SUBTASKS + 1], inputs[INPUTS], buffers[2][WIDEST];
  const float rates[4] = {(float)device_speed, (float)edge_speed, (float)device_edge_bandwidth,
      (float)edge_cloud_bandwidth};
  for (int t = 0; t < SUBTASKS; t++) work[t] = (float)cycles[t];
  for (int t = 0; t <= SUBTASKS; t++) sizes[t] = (float)data[t];
  see(work, sizes, rates, inputs);
  for (int n = 0; n < NETWORKS; n++) {
$layers
    for (int t = 0; t < OUTPUTS / 3; t++) {
      const float *logits = $last + 3 * t;
      int best = 0;
      for (int place = 1; place < 3; place++)
        /* The first NaN wins, as in the network that this was written from. */
        if (logits[best] == logits[best] && !(logits[place] <= logits[best])) best = place;
      *decision++ = (int8_t)best;
    }
  }
  return ${NAME}_OK;
}
