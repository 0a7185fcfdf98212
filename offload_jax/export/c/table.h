
/* What is wrong with a table of costs. */
enum {
  ${NAME}_BAD_NUM_PLACES = 9,  /* must be 1 to 127 */
  ${NAME}_BAD_EXECUTION = 10,  /* must not be negative or NaN; infinity marks what is impossible */
  ${NAME}_BAD_TRANSFER = 11    /* likewise */
};

/* Decides about a table of additive costs, with any number of places.
 *
 *   num_subtasks  A, at least 1
 *   num_places    K, 1 to 127
 *   execution     [A][K] cost of each subtask at each place
 *   transfer      [A + 1][K][K] at [t][j][k] the cost of moving data t from place j to place k; both
 *                 ends of the chain are at place 0
 *   decision      [A] written: the lexicographically smallest of the cheapest decisions, all 0 where
 *                 none is possible
 *   next          [A][K] written: to work on
 *   rest          [2][K] written: to work on; rest[0] is the least cost, infinite where none is possible
 *
 * Returns ${NAME}_OK or what is wrong; next and rest may have been written to all the same.
 */
int ${name}_table(size_t num_subtasks, size_t num_places, const double *execution,
    const double *transfer, int8_t *decision, int8_t *next, double *rest);
