#include <float.h>
#include <stddef.h>

enum { PLACES = 3, LINKS = 4 };
/* Columns of what the network reads. */
$columns
static const float LIMIT = $limit, NEVER = $never, SAME = $same, LEAST_OWN = $least_own;

/* Links: device to edge and back, edge to cloud and back; up to two lead from place to place. */
static const int8_t ROUTES[PLACES][PLACES][2] = {
    {{-1, -1}, {0, -1}, {0, 2}}, {{1, -1}, {-1, -1}, {2, -1}}, {{3, 1}, {3, -1}, {-1, -1}}};

typedef ${name}_request Request;
typedef ${name}_workspace Work;

/* What is known of a request before anything is booked. */
typedef struct {
  float link_rates[LINKS], rates[PLACES][PLACES]; /* seconds per byte */
  float far[PLACES];                              /* the mean of rates from a place to others */
  float single_place_seconds[PLACES];             /* seconds of everything at one place */
  float scale, unit;                              /* seconds; mean seconds per byte */
  int live[PLACES];                               /* whether links to and from the device are up */
  int servers;                                    /* of the edge, as many as can be busy */
} Platform;

/* What would become of a task at a place. */
typedef struct {
  float ready, start, finish, back, links[LINKS];
} Candidate;

static float infinity(void) {
  static const union {
    uint32_t bits;
    float value;
  } number = {UINT32_C(0x7f800000)};
  return number.value;
}

static int is_finite(float value) { return value >= -FLT_MAX && value <= FLT_MAX; }
static int is_amount(float value) { return value >= 0 && value <= FLT_MAX; }
static float larger(float a, float b) { return b > a ? b : a; }
static float smaller(float a, float b) { return b < a ? b : a; }
static float bounded(float value) {
  return value != value ? LIMIT : smaller(larger(value, -LIMIT), LIMIT);
}
/* 0 bytes take no time, over a dead link too. */
static float moving(float bytes, float rate) { return bytes > 0 ? bytes * rate : 0; }

static int needs(const Request *request, int u, int v) {
  return request->depends[(size_t)u * (size_t)request->num_tasks + (size_t)v] != 0;
}
static float data(const Request *request, int u, int v) {
  return request->data[(size_t)u * (size_t)request->num_tasks + (size_t)v];
}
static float release(const Request *request, int v) {
  return request->release ? request->release[v] : 0;
}

static int check(const Request *request) {
  const int num = request->num_tasks;
  if (num < 1 || num > ${NAME}_MAX_TASKS) return ${NAME}_BAD_NUM_TASKS;
  for (int v = 0; v < num; v++)
    if (!is_amount(request->cycles[v])) return ${NAME}_BAD_CYCLES;
  for (int u = 0; u < num; u++)
    for (int v = 0; v < num; v++)
      if (needs(request, u, v) && !is_amount(data(request, u, v))) return ${NAME}_BAD_DATA;
  for (int u = 0; u < num; u++)
    for (int v = 0; v <= u; v++)
      if (needs(request, u, v)) return ${NAME}_BAD_DEPENDS;
  for (int v = 0; v < num; v++)
    if (!is_amount(request->input[v])) return ${NAME}_BAD_INPUT;
  for (int v = 0; v < num; v++)
    if (!is_amount(request->output[v])) return ${NAME}_BAD_OUTPUT;
  if (!(is_amount(request->device_speed) && request->device_speed > 0))
    return ${NAME}_BAD_DEVICE_SPEED;
  if (!(is_amount(request->edge_speed) && request->edge_speed > 0)) return ${NAME}_BAD_EDGE_SPEED;
  if (!is_amount(request->device_edge_bandwidth)) return ${NAME}_BAD_DEVICE_EDGE_BANDWIDTH;
  if (!is_amount(request->edge_cloud_bandwidth)) return ${NAME}_BAD_EDGE_CLOUD_BANDWIDTH;
  if (request->edge_servers < 1) return ${NAME}_BAD_EDGE_SERVERS;
  for (int v = 0; v < num; v++)
    if (!is_amount(release(request, v))) return ${NAME}_BAD_RELEASE;
  return ${NAME}_OK;
}
