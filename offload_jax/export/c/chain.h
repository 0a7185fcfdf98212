/*
$facts
 *
 * Amounts are doubles in SI units. Nothing is allocated, kept between calls or called: no libc, no
 * libm. Calls from several threads at once are safe. IEEE 754 numbers are assumed, so do not compile
 * with -ffast-math.
 *
 * This file and the one beside it were written by offload_jax; edit neither, write them again.
 */
#ifndef ${NAME}_H
#define ${NAME}_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Where a subtask runs. */
enum { ${NAME}_DEVICE = 0, ${NAME}_EDGE = 1, ${NAME}_CLOUD = 2 };

/* What is wrong with a request; the first argument that breaks its rule. Nothing has been written. */
enum {
  ${NAME}_OK = 0,
  ${NAME}_BAD_NUM_SUBTASKS = 1,          /* $length_rule */
  ${NAME}_BAD_CYCLES = 2,                /* must be finite and not negative */
  ${NAME}_BAD_DATA = 3,                  /* must be finite and not negative */
  ${NAME}_BAD_DEVICE_SPEED = 4,          /* must be finite and greater than 0 */
  ${NAME}_BAD_EDGE_SPEED = 5,            /* must be finite and greater than 0 */
  ${NAME}_BAD_DEVICE_EDGE_BANDWIDTH = 6, /* must be finite and not negative; 0 is a dead link */
  ${NAME}_BAD_EDGE_CLOUD_BANDWIDTH = 7,  /* must be finite and not negative; 0 is a dead link */
  ${NAME}_BAD_DECISION = 8               /* places are 0, 1 and 2 */
};

/* Decides about one chain of subtasks. Input enters at the device and the result returns there.
 *
 *   num_subtasks           A, $length_rule
 *   cycles                 [A] CPU cycles of each subtask
 *   data                   [A + 1] bytes: data[0] enters the chain, data[t] goes from subtask t - 1 to
 *                          subtask t, data[A] is the result
 *   device_speed           cycles per second of the device
 *   edge_speed             cycles per second of the edge server; the cloud computes in no time
 *   device_edge_bandwidth  bytes per second; 0 is a link that is down
 *   edge_cloud_bandwidth   bytes per second; 0 is a link that is down
 *   decision               [A] written: the place of each subtask
 *
 * Returns ${NAME}_OK or what is wrong.
 */
int ${name}_decide(size_t num_subtasks, const double *cycles, const double *data,
    double device_speed, double edge_speed, double device_edge_bandwidth,
    double edge_cloud_bandwidth, int8_t *decision);

/* Writes to *cost what a decision costs by the objective above; infinite where data must cross a link
 * that is down. Returns ${NAME}_OK or what is wrong. */
int ${name}_cost(size_t num_subtasks, const double *cycles, const double *data,
    double device_speed, double edge_speed, double device_edge_bandwidth,
    double edge_cloud_bandwidth, const int8_t *decision, double *cost);
$more
#ifdef __cplusplus
}
#endif

#endif
