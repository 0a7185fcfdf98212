/* Calls an exported policy for task graphs for a batch; see exported_chains.c. */
#include HEADER

void decide_batch(long num, long N, const float *cycles, const float *data, const uint8_t *depends,
    const float *input, const float *output, const float *device_speed, const float *edge_speed,
    const float *hop1, const float *hop2, int8_t *place, int32_t *order) {
  WORKSPACE work;
  REQUEST request = {0};
  request.num_tasks = (int)N;
  request.edge_servers = 1;
  for (long n = 0; n < num; n++) {
    request.cycles = cycles + n * N;
    request.data = data + n * N * N;
    request.depends = depends + n * N * N;
    request.input = input + n * N;
    request.output = output + n * N;
    request.device_speed = device_speed[n];
    request.edge_speed = edge_speed[n];
    request.device_edge_bandwidth = hop1[n];
    request.edge_cloud_bandwidth = hop2[n];
    DECIDE(&request, &work, place + n * N, order + n * N, 0);
  }
}
