/* What an exported policy for task graphs reads on the way through given schedules. It includes the
 * source, since what it asks for is not part of the interface. */
#include SOURCE

void columns(size_t num, size_t tasks, const float *rows, const uint8_t *depends, int servers,
    int send_once, const int8_t *place, const int32_t *order, float *of_task, float *of_place,
    float *of_step);

/* Rows of cycles [N], input [N], output [N], release [N], data [N][N] and four rates. Written are
 * [num][N][NUM_TASK] by task, [num][N][PLACES][NUM_PLACE] and [num][N][NUM_STEP] by position. */
void columns(size_t num, size_t tasks, const float *rows, const uint8_t *depends, int servers,
    int send_once, const int8_t *place, const int32_t *order, float *of_task, float *of_place,
    float *of_step) {
  static Work work;
  for (size_t i = 0; i < num; i++) {
    const float *row = rows + i * (4 * tasks + tasks * tasks + 4);
    const float *rates = row + 4 * tasks + tasks * tasks;
    const Request request = {(int)tasks, row, row + 4 * tasks, depends + i * tasks * tasks,
        row + tasks, row + 2 * tasks, rates[0], rates[1], rates[2], rates[3], servers,
        row + 3 * tasks, send_once};
    Platform platform;
    float links[LINKS] = {0, 0, 0, 0};
    int32_t own_order[MAX_TASKS];
    int8_t placed[MAX_TASKS];
    start(&request, &platform, &work, own_order);
    sum_later(&request, &work, order + i * tasks);
    for (size_t v = 0; v < tasks; v++)
      for (int c = 0; c < NUM_TASK; c++) *of_task++ = work.embedding[v][c];
    for (size_t p = 0; p < tasks; p++) {
      const int v = order[i * tasks + p], k = place[i * tasks + (size_t)v];
      Candidate at[PLACES];
      float places[PLACES][NUM_PLACE], step[NUM_STEP];
      for (int j = 0; j < PLACES; j++)
        at[j] = try_place(&request, &platform, &work, placed, order + i * tasks, (int)p, j, links);
      observe(&request, &platform, &work, (int)p, v, links, at, places, step);
      for (int j = 0; j < PLACES; j++)
        for (int c = 0; c < NUM_PLACE; c++) *of_place++ = places[j][c];
      for (int c = 0; c < NUM_STEP; c++) *of_step++ = step[c];
      commit(&request, &platform, &work, placed, v, k, &at[k], links);
    }
  }
}
