/*
$facts
 *
 * Amounts are floats in SI units. Nothing is allocated, kept between calls or called: no libc, no libm.
 * Calls from several threads at once are safe, each with a workspace of its own. IEEE 754 numbers are
 * assumed, so do not compile with -ffast-math.
 *
 * This file and the one beside it were written by offload_jax; edit neither, write them again.
 */
#ifndef ${NAME}_H
#define ${NAME}_H

#include <stdint.h>

/* The largest task graph, which the size of the workspace follows from. Define it for every file that
 * includes this one, or for none. */
#ifndef ${NAME}_MAX_TASKS
#define ${NAME}_MAX_TASKS 64
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Where a task runs. */
enum { ${NAME}_DEVICE = 0, ${NAME}_EDGE = 1, ${NAME}_CLOUD = 2 };

/* What is wrong with a request; the first field that breaks its rule. Nothing has been decided. */
enum {
  ${NAME}_OK = 0,
  ${NAME}_BAD_NUM_TASKS = 1,             /* must be 1 to ${NAME}_MAX_TASKS */
  ${NAME}_BAD_CYCLES = 2,                /* must be finite and not negative */
  ${NAME}_BAD_DATA = 3,                  /* must be finite and not negative on every edge */
  ${NAME}_BAD_DEPENDS = 4,               /* only earlier tasks can be needed */
  ${NAME}_BAD_INPUT = 5,                 /* must be finite and not negative */
  ${NAME}_BAD_OUTPUT = 6,                /* must be finite and not negative */
  ${NAME}_BAD_DEVICE_SPEED = 7,          /* must be finite and greater than 0 */
  ${NAME}_BAD_EDGE_SPEED = 8,            /* must be finite and greater than 0 */
  ${NAME}_BAD_DEVICE_EDGE_BANDWIDTH = 9, /* must be finite and not negative; 0 is a dead link */
  ${NAME}_BAD_EDGE_CLOUD_BANDWIDTH = 10, /* must be finite and not negative; 0 is a dead link */
  ${NAME}_BAD_EDGE_SERVERS = 11,         /* must be at least 1 */
  ${NAME}_BAD_RELEASE = 12               /* must be finite and not negative */
};

/* One task graph of N tasks, numbered so that none needs a later one. Device and edge run one task at a
 * time on each of their CPUs, the cloud any number in no time; each direction of each link carries one
 * transfer at a time. */
typedef struct {
  int num_tasks;               /* N */
  const float *cycles;         /* [N] CPU cycles of each task */
  const float *data;           /* [N][N] bytes from task u to task v at [u][v], read only where depends */
  const uint8_t *depends;      /* [N][N] not 0 at [u][v] where v needs u */
  const float *input;          /* [N] bytes that the device holds and the task needs before it starts */
  const float *output;         /* [N] bytes of the task's result that must reach the device */
  float device_speed;          /* cycles per second */
  float edge_speed;            /* cycles per second of each CPU of the edge */
  float device_edge_bandwidth; /* bytes per second, each way; 0 is a link that is down */
  float edge_cloud_bandwidth;  /* bytes per second, each way; 0 is a link that is down */
  int edge_servers;            /* CPUs of the edge */
  const float *release;        /* [N] seconds before which a task is not there; NULL if all are */
  int send_once; /* not 0: row u of data is one result, which crosses each link once each way */
} ${name}_request;

/* What a call works on: its own affair, uninitialised before, meaningless after. */
typedef struct {
  float seconds[${NAME}_MAX_TASKS][3], tail[${NAME}_MAX_TASKS][3], head[${NAME}_MAX_TASKS][3];
  float input_seconds[${NAME}_MAX_TASKS][3], output_seconds[${NAME}_MAX_TASKS][3], rank[${NAME}_MAX_TASKS];
  float embedding[${NAME}_MAX_TASKS][$embedding], messages[2][${NAME}_MAX_TASKS][$message];
  float urgency[${NAME}_MAX_TASKS], finish[${NAME}_MAX_TASKS], resident_bytes[${NAME}_MAX_TASKS][3];
  float crossed[${NAME}_MAX_TASKS][4], arrived[3][${NAME}_MAX_TASKS][2], busy[2][${NAME}_MAX_TASKS];
  float work_left[${NAME}_MAX_TASKS][3], to_fetch[${NAME}_MAX_TASKS][3];
  float to_return[${NAME}_MAX_TASKS][3];
  float told[${NAME}_MAX_TASKS * (${NAME}_MAX_TASKS + 1) / 2][3], behind[${NAME}_MAX_TASKS][3];
  float extra[${NAME}_MAX_TASKS][3], agreed_tail[${NAME}_MAX_TASKS][3], agreed_sent[${NAME}_MAX_TASKS][3];
  float agreed_left[${NAME}_MAX_TASKS][3], agreed_rank[${NAME}_MAX_TASKS], share[${NAME}_MAX_TASKS];
  int missing[${NAME}_MAX_TASKS];
  uint8_t empty[${NAME}_MAX_TASKS], agreed[${NAME}_MAX_TASKS];
} ${name}_workspace;

/* Decides about one task graph.
 *
 *   request   what is asked
 *   work      to work on
 *   place     [N] written: where each task runs; 0 for tasks without cycles, bytes, edges and release
 *   order     [N] written: the tasks in the order in which they take processors and links
 *   makespan  written, if not NULL: seconds until all is done and all results are at the device
 *
 * Returns ${NAME}_OK or what is wrong.
 */
int ${name}_decide(const ${name}_request *request, ${name}_workspace *work, int8_t *place,
    int32_t *order, float *makespan);

#ifdef __cplusplus
}
#endif

#endif
