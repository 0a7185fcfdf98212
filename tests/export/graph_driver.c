/* Calls an exported policy for task graphs for many requests of one size; see chain_driver.c. */
#include HEADER

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *copy(const void *source, size_t size) {
  void *target = malloc(size ? size : 1);
  if (!target) exit(2);
  return source ? memcpy(target, source, size) : memset(target, 0x55, size);
}

/* Rows of cycles [N], input [N], output [N], release [N], data [N][N] and four rates. */
void batch(size_t num, size_t tasks, const float *rows, const uint8_t *depends, int servers,
    int send_once, int8_t *place, int32_t *order, int32_t *error, float *makespan);

void batch(size_t num, size_t tasks, const float *rows, const uint8_t *depends, int servers,
    int send_once, int8_t *place, int32_t *order, int32_t *error, float *makespan) {
  const size_t width = 4 * tasks + tasks * tasks + 4;
  for (size_t i = 0; i < num; i++) {
    const float *row = rows + i * width, *rates = row + 4 * tasks + tasks * tasks;
    float *cycles = copy(row, tasks * sizeof *row);
    float *input = copy(row + tasks, tasks * sizeof *row);
    float *output = copy(row + 2 * tasks, tasks * sizeof *row);
    float *release = copy(row + 3 * tasks, tasks * sizeof *row);
    float *data = copy(row + 4 * tasks, tasks * tasks * sizeof *row);
    uint8_t *needed = copy(depends + i * tasks * tasks, tasks * tasks);
    int8_t *places = copy(NULL, tasks);
    int32_t *orders = copy(NULL, tasks * sizeof *orders);
    WORKSPACE *work = copy(NULL, sizeof *work);
    REQUEST request;
    request.num_tasks = (int)tasks;
    request.cycles = cycles;
    request.data = data;
    request.depends = needed;
    request.input = input;
    request.output = output;
    request.device_speed = rates[0];
    request.edge_speed = rates[1];
    request.device_edge_bandwidth = rates[2];
    request.edge_cloud_bandwidth = rates[3];
    request.edge_servers = servers;
    request.release = release;
    request.send_once = send_once;
    makespan[i] = -1;
    error[i] = DECIDE(&request, work, places, orders, makespan + i);
    memcpy(place + i * tasks, places, tasks);
    memcpy(order + i * tasks, orders, tasks * sizeof *orders);
    free(cycles);
    free(input);
    free(output);
    free(release);
    free(data);
    free(needed);
    free(places);
    free(orders);
    free(work);
  }
}

static void must(int good) {
  if (!good) exit(3);
}

int main(void) {
  uint64_t sizes[4]; /* requests, tasks, servers, send_once */
  must(fread(sizes, sizeof *sizes, 4, stdin) == 4);
  const size_t num = (size_t)sizes[0], tasks = (size_t)sizes[1];
  const size_t width = 4 * tasks + tasks * tasks + 4;
  float *rows = copy(NULL, num * width * sizeof *rows);
  float *makespan = copy(NULL, num * sizeof *makespan);
  uint8_t *depends = copy(NULL, num * tasks * tasks);
  int8_t *place = copy(NULL, num * tasks);
  int32_t *order = copy(NULL, num * tasks * sizeof *order);
  int32_t *error = copy(NULL, num * sizeof *error);
  must(fread(rows, sizeof *rows, num * width, stdin) == num * width);
  must(fread(depends, 1, num * tasks * tasks, stdin) == num * tasks * tasks);
  batch(num, tasks, rows, depends, (int)sizes[2], (int)sizes[3], place, order, error, makespan);
  must(fwrite(place, 1, num * tasks, stdout) == num * tasks);
  must(fwrite(order, sizeof *order, num * tasks, stdout) == num * tasks);
  must(fwrite(error, sizeof *error, num, stdout) == num);
  must(fwrite(makespan, sizeof *makespan, num, stdout) == num);
  free(rows);
  free(makespan);
  free(depends);
  free(place);
  free(order);
  free(error);
  return 0;
}
