#include <float.h>

/* Of the objective: a second of computing on the device, of sending, of receiving and of waiting, and a
 * cycle on the device at 1 cycle/s. */
static const double COMPUTING = $computing, SENDING = $sending, RECEIVING = $receiving,
                    WAITING = $waiting, JOULES = $joules;

/* Costs of a cycle and of a byte. */
typedef struct {
  double device, edge, up, down, wan;
} prices;

static double infinity(void) {
  static const union {
    uint64_t bits;
    double value;
  } number = {UINT64_C(0x7ff0000000000000)};
  return number.value;
}

static double price(double amount, double each) {
  return amount > 0 ? amount * each : 0; /* Nothing costs nothing, over a dead link too. */
}

static double per_byte(double second, double bandwidth) {
  return bandwidth > 0 ? second / bandwidth : infinity();
}

static prices price_list(double device_speed, double edge_speed, double device_edge_bandwidth,
    double edge_cloud_bandwidth) {
  prices list;
  list.device = COMPUTING / device_speed + JOULES * device_speed * device_speed;
  list.edge = WAITING / edge_speed;
  list.up = per_byte(SENDING, device_edge_bandwidth);
  list.down = per_byte(RECEIVING, device_edge_bandwidth);
  list.wan = per_byte(WAITING, edge_cloud_bandwidth);
  return list;
}

/* NaN fails every comparison. */
static int is_amount(double value) { return value >= 0 && value <= $largest; }
static int is_speed(double value) { return value <= $largest && ($number)value > 0; }

static int are_amounts(size_t num, const double *values) {
  int good = 1;
  for (size_t i = 0; i < num; i++) good &= is_amount(values[i]);
  return good;
}

static int check(size_t num_subtasks, const double *cycles, const double *data,
    double device_speed, double edge_speed, double device_edge_bandwidth,
    double edge_cloud_bandwidth) {
  if (!($length_test)) return ${NAME}_BAD_NUM_SUBTASKS;
  if (!are_amounts(num_subtasks, cycles)) return ${NAME}_BAD_CYCLES;
  if (!are_amounts(num_subtasks + 1, data)) return ${NAME}_BAD_DATA;
  if (!is_speed(device_speed)) return ${NAME}_BAD_DEVICE_SPEED;
  if (!is_speed(edge_speed)) return ${NAME}_BAD_EDGE_SPEED;
  if (!is_amount(device_edge_bandwidth)) return ${NAME}_BAD_DEVICE_EDGE_BANDWIDTH;
  if (!is_amount(edge_cloud_bandwidth)) return ${NAME}_BAD_EDGE_CLOUD_BANDWIDTH;
  return ${NAME}_OK;
}

static double move(const prices *list, double bytes, int from, int to) {
  if (from == to) return 0;
  if (from == ${NAME}_DEVICE)
    return price(bytes, list->up) + (to == ${NAME}_CLOUD ? price(bytes, list->wan) : 0);
  if (to == ${NAME}_DEVICE)
    return price(bytes, list->down) + (from == ${NAME}_CLOUD ? price(bytes, list->wan) : 0);
  return price(bytes, list->wan);
}

int ${name}_cost(size_t num_subtasks, const double *cycles, const double *data,
    double device_speed, double edge_speed, double device_edge_bandwidth,
    double edge_cloud_bandwidth, const int8_t *decision, double *cost) {
  const int error = check(num_subtasks, cycles, data, device_speed, edge_speed,
      device_edge_bandwidth, edge_cloud_bandwidth);
  if (error) return error;
  const prices list =
      price_list(device_speed, edge_speed, device_edge_bandwidth, edge_cloud_bandwidth);
  double total = 0;
  int here = ${NAME}_DEVICE;
  for (size_t t = 0; t < num_subtasks; t++) {
    const int place = decision[t];
    if (place < 0 || place > 2) return ${NAME}_BAD_DECISION;
    total += move(&list, data[t], here, place);
    if (place == ${NAME}_DEVICE) total += price(cycles[t], list.device);
    if (place == ${NAME}_EDGE) total += price(cycles[t], list.edge);
    here = place;
  }
  *cost = total + move(&list, data[num_subtasks], here, ${NAME}_DEVICE);
  return ${NAME}_OK;
}
