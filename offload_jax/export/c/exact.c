
/* The place of the least of three costs, the first of equal ones; *least becomes that cost. Without
 * branches: which place it is cannot be foreseen. */
static int least_of(double device, double edge, double cloud, double *least) {
  const double less = edge < device ? edge : device, best = cloud < less ? cloud : less;
  const int leaves = best != device;
  *least = best;
  return leaves + (leaves & (best != edge));
}

/* From the end of the chain: the least cost of the rest, from each place. Until the last loop a byte of
 * `decision` holds the next place from each of the three, two bits each. */
int ${name}_decide(size_t num_subtasks, const double *cycles, const double *data,
    double device_speed, double edge_speed, double device_edge_bandwidth,
    double edge_cloud_bandwidth, int8_t *decision) {
  const int error = check(num_subtasks, cycles, data, device_speed, edge_speed,
      device_edge_bandwidth, edge_cloud_bandwidth);
  if (error) return error;
  const prices list =
      price_list(device_speed, edge_speed, device_edge_bandwidth, edge_cloud_bandwidth);
  double device = 0, edge = price(data[num_subtasks], list.down);
  double cloud = price(data[num_subtasks], list.wan) + edge;
  for (size_t t = num_subtasks; t-- > 0;) {
    const double up = price(data[t], list.up), down = price(data[t], list.down);
    const double wan = price(data[t], list.wan);
    const double run_device = device + price(cycles[t], list.device);
    const double run_edge = edge + price(cycles[t], list.edge), run_cloud = cloud;
    const int from_device = least_of(run_device, run_edge + up, run_cloud + (up + wan), &device);
    const int from_edge = least_of(run_device + down, run_edge, run_cloud + wan, &edge);
    const int from_cloud = least_of(run_device + (wan + down), run_edge + wan, run_cloud, &cloud);
    decision[t] = (int8_t)(from_device | from_edge << 2 | from_cloud << 4);
  }
  int place = ${NAME}_DEVICE;
  for (size_t t = 0; t < num_subtasks; t++) {
    place = decision[t] >> 2 * place & 3;
    decision[t] = (int8_t)place;
  }
  return ${NAME}_OK;
}

static int are_costs(size_t num, const double *values) {
  int good = 1;
  for (size_t i = 0; i < num; i++) good &= values[i] >= 0;
  return good;
}

int ${name}_table(size_t num_subtasks, size_t num_places, const double *execution,
    const double *transfer, int8_t *decision, int8_t *next, double *rest) {
  if (num_subtasks == 0) return ${NAME}_BAD_NUM_SUBTASKS;
  if (num_places == 0 || num_places > 127) return ${NAME}_BAD_NUM_PLACES;
  if (!are_costs(num_subtasks * num_places, execution)) return ${NAME}_BAD_EXECUTION;
  if (!are_costs((num_subtasks + 1) * num_places * num_places, transfer))
    return ${NAME}_BAD_TRANSFER;
  double *arrived = rest + num_places;
  const double *moves = transfer + num_subtasks * num_places * num_places;
  for (size_t k = 0; k < num_places; k++) rest[k] = moves[k * num_places];
  for (size_t t = num_subtasks; t-- > 0;) {
    for (size_t k = 0; k < num_places; k++) arrived[k] = rest[k] + execution[t * num_places + k];
    for (size_t j = 0; j < num_places; j++) {
      moves = transfer + (t * num_places + j) * num_places;
      size_t place = 0;
      rest[j] = infinity();
      for (size_t k = 0; k < num_places; k++) {
        const double cost = arrived[k] + moves[k];
        if (cost < rest[j]) {
          rest[j] = cost;
          place = k;
        }
      }
      next[t * num_places + j] = (int8_t)place;
    }
  }
  const int possible = rest[0] < infinity();
  size_t place = 0;
  for (size_t t = 0; t < num_subtasks; t++) {
    if (possible) place = (size_t)next[t * num_places + place];
    decision[t] = (int8_t)place;
  }
  return ${NAME}_OK;
}
