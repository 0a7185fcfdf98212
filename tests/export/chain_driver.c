/* Calls an exported chain policy for many requests: as a library, or as a program that reads them from
 * its standard input. HEADER, DECIDE and COST name what is called. Every array of a request has an
 * allocation of its own, so that a sanitizer sees every step beyond one. */
#include HEADER

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *copy(const void *source, size_t size) {
  void *target = malloc(size ? size : 1);
  if (!target) exit(2);
  return source ? memcpy(target, source, size) : memset(target, 0x55, size);
}

/* Rows of cycles [A], data [A + 1] and four rates. */
void batch(size_t num, size_t subtasks, const double *rows, int8_t *decision, int32_t *error,
    double *cost);

void batch(size_t num, size_t subtasks, const double *rows, int8_t *decision, int32_t *error,
    double *cost) {
  const size_t width = 2 * subtasks + 5;
  for (size_t i = 0; i < num; i++) {
    const double *row = rows + i * width, *rates = row + 2 * subtasks + 1;
    double *cycles = copy(row, subtasks * sizeof *row);
    double *data = copy(row + subtasks, (subtasks + 1) * sizeof *row);
    int8_t *decided = copy(NULL, subtasks);
    cost[i] = -1;
    error[i] = DECIDE(subtasks, cycles, data, rates[0], rates[1], rates[2], rates[3], decided);
    if (!error[i])
      error[i] = COST(
          subtasks, cycles, data, rates[0], rates[1], rates[2], rates[3], decided, cost + i);
    memcpy(decision + i * subtasks, decided, subtasks);
    free(cycles);
    free(data);
    free(decided);
  }
}

#ifdef TABLE
/* Rows of execution [A][K] and transfer [A + 1][K][K]; the work space goes to `rest`. */
void tables(size_t num, size_t subtasks, size_t places, const double *execution,
    const double *transfer, int8_t *decision, int32_t *error, double *cost);

void tables(size_t num, size_t subtasks, size_t places, const double *execution,
    const double *transfer, int8_t *decision, int32_t *error, double *cost) {
  const size_t entries = subtasks * places, moves = (subtasks + 1) * places * places;
  for (size_t i = 0; i < num; i++) {
    double *spent = copy(execution + i * entries, entries * sizeof *spent);
    double *moved = copy(transfer + i * moves, moves * sizeof *moved);
    int8_t *decided = copy(NULL, subtasks), *next = copy(NULL, entries);
    double *rest = copy(NULL, 2 * places * sizeof *rest);
    error[i] = TABLE(subtasks, places, spent, moved, decided, next, rest);
    cost[i] = rest[0];
    memcpy(decision + i * subtasks, decided, subtasks);
    free(spent);
    free(moved);
    free(decided);
    free(next);
    free(rest);
  }
}
#endif

static void must(int good) {
  if (!good) exit(3);
}

int main(void) {
  uint64_t sizes[3]; /* requests, subtasks, and places of a table or 0 */
  must(fread(sizes, sizeof *sizes, 3, stdin) == 3);
  const size_t num = (size_t)sizes[0], subtasks = (size_t)sizes[1], places = (size_t)sizes[2];
  const size_t entries = subtasks * places, moves = (subtasks + 1) * places * places;
  const size_t width = places ? entries + moves : 2 * subtasks + 5;
  double *rows = copy(NULL, num * width * sizeof *rows), *cost = copy(NULL, num * sizeof *cost);
  int8_t *decision = copy(NULL, num * subtasks);
  int32_t *error = copy(NULL, num * sizeof *error);
  must(fread(rows, sizeof *rows, num * width, stdin) == num * width);
  if (!places) batch(num, subtasks, rows, decision, error, cost);
#ifdef TABLE
  if (places)
    tables(num, subtasks, places, rows, rows + num * entries, decision, error, cost);
#endif
  must(fwrite(decision, 1, num * subtasks, stdout) == num * subtasks);
  must(fwrite(error, sizeof *error, num, stdout) == num);
  must(fwrite(cost, sizeof *cost, num, stdout) == num);
  free(rows);
  free(cost);
  free(decision);
  free(error);
  return 0;
}
