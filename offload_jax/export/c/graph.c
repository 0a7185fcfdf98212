#include <float.h>
#include <stddef.h>

enum { PLACES = 3, LINKS = 4, NUM_PLACE = $num_place, NUM_STEP = $num_step, NUM_TASK = $num_task };
static const float LIMIT = $limit;

/* Links: device to edge and back, edge to cloud and back; up to two lead from place to place. */
static const int8_t ROUTES[PLACES][PLACES][2] = {
    {{-1, -1}, {0, -1}, {0, 2}}, {{1, -1}, {-1, -1}, {2, -1}}, {{3, 1}, {3, -1}, {-1, -1}}};

typedef ${name}_request Request;
typedef ${name}_workspace Work;

/* What is known of a request before anything is booked. */
typedef struct {
  float link_rates[LINKS], rates[PLACES][PLACES]; /* seconds per byte */
  float far[PLACES];                              /* the mean of rates from a place to others */
  float alone[PLACES];                            /* seconds of everything at one place */
  float scale, unit;                              /* seconds; mean seconds per byte */
  int live[PLACES];                               /* whether links to and from the device are up */
  int servers;                                    /* of the edge, as many as can be busy */
} World;

/* What would become of a task at a place. */
typedef struct {
  float ready, start, finish, back, links[LINKS];
} Outlook;

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

/* Rates of links, of ways from place to place, and which places can be used. */
static void read_links(const Request *request, World *world) {
  for (int link = 0; link < LINKS; link++) {
    const float bandwidth =
        link < 2 ? request->device_edge_bandwidth : request->edge_cloud_bandwidth;
    world->link_rates[link] = bandwidth > 0 ? 1 / bandwidth : infinity();
  }
  for (int j = 0; j < PLACES; j++)
    for (int k = 0; k < PLACES; k++) {
      world->rates[j][k] = 0;
      for (int hop = 0; hop < 2 && ROUTES[j][k][hop] >= 0; hop++)
        world->rates[j][k] += world->link_rates[ROUTES[j][k][hop]];
    }
  for (int k = 0; k < PLACES; k++) {
    world->live[k] = is_finite(world->rates[0][k]) && is_finite(world->rates[k][0]);
    float total = 0;
    int count = 0;
    for (int j = 0; j < PLACES; j++)
      if (j != k && is_finite(world->rates[k][j])) {
        total += world->rates[k][j];
        count++;
      }
    world->far[k] = total / (float)(count ? count : 1);
  }
  world->servers =
      request->edge_servers < request->num_tasks ? request->edge_servers : request->num_tasks;
}

/* Mean seconds per byte between different live places, and from other live places to the device. */
static void mean_rates(const World *world, float *between, float *home) {
  float total = 0, back = 0;
  int pairs = 0, ways = 0;
  for (int j = 0; j < PLACES; j++)
    for (int k = 0; k < PLACES; k++)
      if (j != k && world->live[j] && world->live[k] && is_finite(world->rates[j][k])) {
        total += world->rates[j][k];
        pairs++;
      }
  for (int j = 1; j < PLACES; j++)
    if (world->live[j]) {
      back += world->rates[j][0];
      ways++;
    }
  *between = total / (float)(pairs ? pairs : 1);
  *home = back / (float)(ways ? ways : 1);
}

/* Seconds of tasks and of their inputs and outputs, and which tasks change nothing. */
static void read_tasks(const Request *request, const World *world, Work *work) {
  const int num = request->num_tasks;
  for (int v = 0; v < num; v++) {
    work->seconds[v][0] = request->cycles[v] / request->device_speed;
    work->seconds[v][1] = request->cycles[v] / request->edge_speed;
    work->seconds[v][2] = 0;
    work->empty[v] = !(request->input[v] > 0 || request->output[v] > 0 || release(request, v) > 0 ||
                       work->seconds[v][0] > 0 || work->seconds[v][1] > 0);
    for (int k = 0; k < PLACES; k++) {
      work->there[v][k] = moving(request->input[v], world->rates[0][k]);
      work->back[v][k] = moving(request->output[v], world->rates[k][0]);
    }
  }
  for (int u = 0; u < num; u++)
    for (int v = u + 1; v < num; v++)
      if (needs(request, u, v)) work->empty[u] = work->empty[v] = 0;
}

/* The least, over places of the other task, of its time there and the way between the two. */
static float first_over(const float *times, const float *more, float bytes, float rates[][PLACES],
    int k, int to_k) {
  float first = infinity();
  for (int q = 0; q < PLACES; q++) {
    const float way = moving(bytes, to_k ? rates[q][k] : rates[k][q]);
    first = smaller(first, way + (times[q] + more[q]));
  }
  return first;
}

/* Without contention: `ahead`, the least seconds until a task is done at a place, and `onward`, from
 * then until all that follows is home. */
static void look_both_ways(const Request *request, World *world, Work *work) {
  static const float nothing[PLACES] = {0, 0, 0};
  const int num = request->num_tasks;
  for (int v = num; v-- > 0;)
    for (int k = 0; k < PLACES; k++) {
      float rest = work->back[v][k];
      for (int s = v + 1; s < num; s++)
        if (needs(request, v, s))
          rest = larger(rest, first_over(work->seconds[s], work->onward[s], data(request, v, s),
                                  world->rates, k, 0));
      work->onward[v][k] = rest;
    }
  for (int v = 0; v < num; v++)
    for (int k = 0; k < PLACES; k++) {
      float begin = release(request, v) + work->there[v][k];
      for (int u = 0; u < v; u++)
        if (needs(request, u, v))
          begin = larger(begin, first_over(work->ahead[u], nothing, data(request, u, v),
                                    world->rates, k, 1));
      work->ahead[v][k] = begin + work->seconds[v][k];
    }
}

static float least_through(const Work *work, int v) {
  float least = infinity();
  for (int k = 0; k < PLACES; k++) least = smaller(least, work->ahead[v][k] + work->onward[v][k]);
  return least;
}

/* The scale of all times: everything at the best single place. */
static void measure(const Request *request, World *world, const Work *work, float bound) {
  world->scale = infinity();
  for (int k = 0; k < PLACES; k++) {
    float fetching = 0, running = 0, returning = 0;
    for (int v = 0; v < request->num_tasks; v++) {
      fetching += work->there[v][k];
      running += work->seconds[v][k];
      returning += work->back[v][k];
    }
    if (k == ${NAME}_EDGE) running /= (float)request->edge_servers;
    world->alone[k] = fetching + running + returning;
    world->scale = smaller(world->scale, world->alone[k]);
  }
  if (!is_finite(world->scale)) world->scale = bound;
  if (!(is_finite(world->scale) && world->scale > 0)) world->scale = 1;
}

/* What the network is told of each task, into the first columns of `known`. */
static void describe(const Request *request, World *world, Work *work) {
  const int num = request->num_tasks;
  float between, home, total_seconds = 0, total_moved = 0, total_bytes = 0, bound = 0, highest = 0;
  int count = 0;
  mean_rates(world, &between, &home);
  for (int v = num; v-- > 0;) {
    float mean = 0;
    int places = 0;
    for (int k = 0; k < PLACES; k++)
      if (world->live[k] && is_finite(work->seconds[v][k])) {
        mean += work->seconds[v][k];
        places++;
      }
    mean /= (float)(places ? places : 1);
    total_seconds += mean;
    float rest = moving(request->output[v], home);
    for (int s = v + 1; s < num; s++)
      if (needs(request, v, s)) {
        const float moved = moving(data(request, v, s), between);
        rest = larger(rest, moved + work->rank[s]);
        total_moved += moved;
        total_bytes += data(request, v, s);
      }
    work->rank[v] = mean + rest;
    work->known[v][2] = mean;
    bound = larger(bound, least_through(work, v));
  }
  for (int v = 0; v < num; v++) {
    if (work->empty[v]) work->rank[v] = -1;
    else count++;
    highest = larger(highest, work->rank[v]);
  }
  if (!(highest > 0)) highest = 1;
  measure(request, world, work, bound);
  world->unit = total_moved / (total_bytes > 0 ? total_bytes : 1);

  const float scale = world->scale;
  for (int v = 0; v < num; v++) {
    float *task = work->known[v], heard = 0, sent = 0, most = 0, got = 0, ranks = 0;
    int readers = 0, needed = 0;
    float shortest = infinity(), longest = 0, ahead = infinity(), onward = infinity(), fetch = 0;
    for (int u = 0; u < v; u++)
      if (needs(request, u, v)) {
        got += moving(data(request, u, v), between);
        needed++;
      }
    for (int s = v + 1; s < num; s++)
      if (needs(request, v, s)) {
        heard = moving(data(request, v, s), between);
        sent += heard;
        most = larger(most, heard);
        ranks += work->rank[s] / highest;
        readers++;
      }
    for (int k = 0; k < PLACES; k++) {
      if (world->live[k]) {
        shortest = smaller(shortest, work->seconds[v][k]);
        if (is_finite(work->seconds[v][k])) longest = larger(longest, work->seconds[v][k]);
        fetch = larger(fetch, work->there[v][k]);
      }
      ahead = smaller(ahead, work->ahead[v][k]);
      onward = smaller(onward, work->onward[v][k]);
    }
    const float returning = moving(request->output[v], home);
    task[0] = bounded(work->rank[v] / scale);
    task[1] = bounded(work->rank[v] / highest);
    task[2] = bounded(task[2] / scale);
    task[3] = bounded(shortest / scale);
    task[4] = bounded(longest / scale);
    task[5] = bounded(ahead / scale);
    task[6] = bounded(onward / scale);
    task[7] = bounded((bound - least_through(work, v)) / scale);
    task[8] = bounded((sent + returning) / scale);
    task[9] = bounded(most / scale);
    task[10] = bounded(got / scale);
    task[11] = bounded(fetch / scale);
    task[12] = smaller((float)readers / 4, LIMIT);
    task[13] = smaller((float)needed / 4, LIMIT);
    task[14] = bounded(returning / scale);
    task[15] = bounded(ranks / 4);
    task[16] = bounded(bound / scale);
    task[17] = bounded(highest / scale);
    task[18] = bounded(total_seconds / 4 / scale);
    task[19] = bounded(total_moved / 4 / scale);
    task[20] = bounded(logarithm((float)(count ? count : 1)) / logarithm(2) / 4);
  }
}

#if ROUNDS > 0
/* Tasks tell their neighbours in the graph what they know, a few times; into the last columns. */
static void tell(const Request *request, Work *work) {
  const int num = request->num_tasks;
  int now = 0;
  for (int v = 0; v < num; v++) {
    layer(NUM_TASK, MESSAGE, message_in_kernel, message_in_bias, 1, work->known[v],
        work->heard[now][v]);
  }
  for (int round = 0; round < ROUNDS; round++) {
    for (int v = 0; v < num; v++) {
      float inputs[3 * MESSAGE], *heard = work->heard[1 - now][v];
      for (int i = 0; i < MESSAGE; i++) {
        inputs[i] = work->heard[now][v][i];
        inputs[MESSAGE + i] = inputs[2 * MESSAGE + i] = 0;
      }
      for (int s = v + 1; s < num; s++)
        if (needs(request, v, s))
          for (int i = 0; i < MESSAGE; i++)
            inputs[MESSAGE + i] += work->heard[now][s][i] / 4;
      for (int u = 0; u < v; u++)
        if (needs(request, u, v))
          for (int i = 0; i < MESSAGE; i++)
            inputs[2 * MESSAGE + i] += work->heard[now][u][i] / 4;
      layer(3 * MESSAGE, MESSAGE, message_kernels + round * 3 * MESSAGE * MESSAGE,
          message_biases + round * MESSAGE, 1, inputs, heard);
      for (int i = 0; i < MESSAGE; i++) heard[i] += inputs[i];
    }
    now = 1 - now;
  }
  for (int v = 0; v < num; v++)
    for (int i = 0; i < MESSAGE; i++) work->known[v][NUM_TASK + i] = work->heard[now][v][i];
}
#endif

/* How urgent each task is, and from that the order: the most urgent of those that are ready. */
static void decide_order(const Request *request, Work *work, int32_t *order) {
  const int num = request->num_tasks;
  for (int v = 0; v < num; v++) {
    float first[ORDER_HIDDEN], second[ORDER_HIDDEN], skip, *urgency = &work->urgency[v];
    layer(KNOWN, ORDER_HIDDEN, order_in_kernel, order_in_bias, 1, work->known[v], first);
    layer(ORDER_HIDDEN, ORDER_HIDDEN, order_middle_kernel, order_middle_bias, 1, first, second);
    layer(ORDER_HIDDEN, 1, order_out_kernel, NULL, 0, second, urgency);
    layer(KNOWN, 1, order_skip, NULL, 0, work->known[v], &skip);
    *urgency += skip;
    work->missing[v] = 0;
    for (int u = 0; u < v; u++) work->missing[v] += needs(request, u, v);
  }
  for (int i = 0; i < num; i++) {
    int chosen = -1;
    /* Tasks that change nothing come last, by number. */
    for (int empty = 0; empty < 2 && chosen < 0; empty++)
      for (int v = 0; v < num; v++)
        if (work->missing[v] == 0 && work->empty[v] == empty &&
            (chosen < 0 || (!empty && work->urgency[v] > work->urgency[chosen])))
          chosen = v;
    order[i] = chosen;
    work->missing[chosen] = -1;
    for (int s = chosen + 1; s < num; s++)
      if (needs(request, chosen, s)) work->missing[s]--;
  }
}

/* Sums over the tasks that come later in the order; of running times over this task, too. */
static void add_up(const Request *request, Work *work, const int32_t *order) {
  for (int k = 0; k < PLACES; k++) {
    float running = 0, fetching = 0, returning = 0;
    for (int i = request->num_tasks; i-- > 0;) {
      const int v = order[i];
      work->to_fetch[i][k] = fetching;
      work->to_return[i][k] = returning;
      if (is_finite(work->seconds[v][k])) running += work->seconds[v][k];
      if (is_finite(work->there[v][k])) fetching += work->there[v][k];
      if (is_finite(work->back[v][k])) returning += work->back[v][k];
      work->work_left[i][k] = running;
    }
  }
}

/* Books the hops of a transfer one after the other; gives when the data is there. */
static float transfer(const World *world, float *links, int from, int to, float begin, float bytes) {
  for (int hop = 0; hop < 2 && ROUTES[from][to][hop] >= 0; hop++) {
    const int link = ROUTES[from][to][hop];
    begin = larger(begin, links[link]) + bytes * world->link_rates[link];
    links[link] = begin;
  }
  return begin;
}

static int first_free(const World *world, const Work *work, int k) {
  int first = 0;
  for (int s = 1; k == ${NAME}_EDGE && s < world->servers; s++)
    if (work->busy[k][s] < work->busy[k][first]) first = s;
  return first;
}

/* Tries the task in a position at place k, on links that are free when `links` says. */
static Outlook try_place(const Request *request, const World *world, Work *work,
    const int8_t *place, const int32_t *order, int position, int k, const float *links) {
  const int v = order[position];
  Outlook at;
  for (int link = 0; link < LINKS; link++) at.links[link] = links[link];
  at.ready = release(request, v);
  if (request->input[v] > 0)
    at.ready = transfer(world, at.links, ${NAME}_DEVICE, k, at.ready, request->input[v]);
  for (int i = 0; i < position; i++) {
    const int u = order[i];
    if (!needs(request, u, v)) continue;
    const float bytes = data(request, u, v);
    float arrived = work->finish[u];
    if (bytes > 0 && place[u] != k) {
      if (request->send_once && work->copies[u][k] >= 0) arrived = work->copies[u][k];
      else arrived = transfer(world, at.links, place[u], k, arrived, bytes);
      work->arrived[k][u] = arrived;
    }
    at.ready = larger(at.ready, arrived);
  }
  at.start = at.ready;
  if (k != ${NAME}_CLOUD && work->seconds[v][k] > 0)
    at.start = larger(at.ready, work->busy[k][first_free(world, work, k)]);
  at.finish = at.start + work->seconds[v][k];
  at.back = at.finish;
  if (request->output[v] > 0)
    at.back = transfer(world, at.links, k, ${NAME}_DEVICE, at.finish, request->output[v]);
  return at;
}

/* When the links of ways into (or out of) place k are free, the last of each, in the mean. */
static float latest(const float *links, int k, int into) {
  float total = 0;
  for (int j = 0; j < PLACES; j++) {
    if (j == k) continue;
    const int8_t *route = into ? ROUTES[j][k] : ROUTES[k][j];
    total += route[1] < 0 ? links[route[0]] : larger(links[route[0]], links[route[1]]);
  }
  return total / (PLACES - 1);
}

/* What the network sees of the task in a position. */
static void see(const Request *request, const World *world, const Work *work, int position, int v,
    const float *links, const Outlook *at, float places[][NUM_PLACE], float *step) {
  const float scale = world->scale, unit = world->unit;
  float first = infinity(), least = infinity(), longest = 0, last = 0, sent = 0, busiest = 0;
  float through[PLACES], beside[PLACES] = {0, 0, 0};
  for (int k = 0; k < PLACES; k++) {
    through[k] = at[k].finish + work->onward[v][k];
    if (!world->live[k]) continue;
    first = smaller(first, at[k].finish);
    least = smaller(least, through[k]);
    longest = larger(longest, through[k]);
    if (is_finite(at[k].finish)) last = larger(last, at[k].finish);
  }
  if (!is_finite(first)) first = 0;
  if (!is_finite(least)) least = 0;
  for (int s = v + 1; s < request->num_tasks; s++)
    if (needs(request, v, s)) {
      sent += data(request, v, s);
      for (int k = 0; k < PLACES; k++) beside[k] += work->lying[s][k];
    }
  sent *= unit;
  for (int link = 0; link < LINKS; link++) busiest += links[link];
  for (int k = 0; k < PLACES; k++) {
    const float idle = k == ${NAME}_CLOUD ? first : work->busy[k][first_free(world, work, k)];
    float todo = work->work_left[position][k], fetching = 0, taken = 0;
    if (k == ${NAME}_EDGE) todo /= (float)request->edge_servers;
    if (k == ${NAME}_CLOUD) todo = 0;
    for (int j = 0; j < PLACES; j++)
      if (j != k) fetching += moving(beside[j], world->rates[j][k]);
    for (int link = 0; link < LINKS; link++) taken += at[k].links[link];
    const float values[NUM_PLACE] = {
        at[k].ready - first,
        at[k].start - first,
        at[k].finish - first,
        at[k].back - first,
        through[k] - least,
        work->onward[v][k],
        is_finite(work->seconds[v][k]) ? work->seconds[v][k] : 0,
        at[k].start - at[k].ready,
        idle - first,
        todo,
        idle + todo - first,
        taken - busiest,
        latest(links, k, 1) - first,
        latest(links, k, 0) - first,
        beside[k] * unit,
        fetching,
        work->lying[v][k] * unit,
        work->to_fetch[position][k],
        work->to_return[position][k],
        world->alone[k],
        idle + todo + work->to_return[position][k] - least,
        sent * world->far[k] / larger(unit, 1e-30f),
    };
    for (int i = 0; i < NUM_PLACE; i++) places[k][i] = bounded(values[i] / scale);
  }
  const float values[NUM_STEP] = {first, least, sent, longest - least, last - first};
  for (int i = 0; i < NUM_STEP; i++) step[i] = bounded(values[i] / scale);
}

/* The most probable place of a task. */
static int choose(const World *world, float places[][NUM_PLACE], const float *step,
    const float *known) {
  float inputs[NUM_STEP + KNOWN], of_task[HIDDEN], hidden[PLACES][HIDDEN], mean[HIDDEN];
  float of_all[SECOND], second[SECOND], score, skip, best = 0;
  int chosen = -1;
  for (int i = 0; i < NUM_STEP; i++) inputs[i] = step[i];
  for (int i = 0; i < KNOWN; i++) inputs[NUM_STEP + i] = known[i];
  layer(NUM_STEP + KNOWN, HIDDEN, task_in_kernel, task_in_bias, 0, inputs, of_task);
  for (int i = 0; i < HIDDEN; i++) mean[i] = 0;
  for (int k = 0; k < PLACES; k++) {
    layer(NUM_PLACE, HIDDEN, place_in_kernel, of_task, 1, places[k], hidden[k]);
    for (int i = 0; i < HIDDEN; i++) mean[i] += hidden[k][i];
  }
  for (int i = 0; i < HIDDEN; i++) mean[i] /= PLACES;
  layer(HIDDEN, SECOND, mean_middle_kernel, mean_middle_bias, 0, mean, of_all);
  for (int k = 0; k < PLACES; k++) {
    if (!world->live[k]) continue;
    layer(HIDDEN, SECOND, place_middle_kernel, of_all, 1, hidden[k], second);
    layer(SECOND, 1, place_out_kernel, NULL, 0, second, &score);
    layer(NUM_PLACE, 1, place_skip, NULL, 0, places[k], &skip);
    if (chosen < 0 || score + skip > best) {
      best = score + skip;
      chosen = k;
    }
  }
  return chosen;
}

int ${name}_decide(const Request *request, Work *work, int8_t *place, int32_t *order,
    float *makespan) {
  const int error = check(request);
  if (error) return error;
  const int num = request->num_tasks;
  World world;
  float links[LINKS] = {0, 0, 0, 0}, done = 0;
  read_links(request, &world);
  read_tasks(request, &world, work);
  look_both_ways(request, &world, work);
  describe(request, &world, work);
#if ROUNDS > 0
  tell(request, work);
#endif
  decide_order(request, work, order);
  add_up(request, work, order);
  for (int v = 0; v < num; v++) {
    work->busy[0][v] = work->busy[1][v] = 0;
    for (int k = 0; k < PLACES; k++) {
      work->lying[v][k] = 0;
      work->copies[v][k] = -1;
    }
  }
  for (int i = 0; i < num; i++) {
    const int v = order[i];
    Outlook at[PLACES];
    float places[PLACES][NUM_PLACE], step[NUM_STEP];
    for (int k = 0; k < PLACES; k++)
      at[k] = try_place(request, &world, work, place, order, i, k, links);
    int k = ${NAME}_DEVICE;
    if (!work->empty[v]) {
      see(request, &world, work, i, v, links, at, places, step);
      k = choose(&world, places, step, work->known[v]);
    }
    place[v] = (int8_t)k;
    work->finish[v] = at[k].finish;
    done = larger(done, larger(at[k].finish, at[k].back));
    for (int link = 0; link < LINKS; link++) links[link] = at[k].links[link];
    if (k != ${NAME}_CLOUD && work->seconds[v][k] > 0)
      work->busy[k][first_free(&world, work, k)] = at[k].finish;
    for (int u = 0; u < v; u++)
      if (needs(request, u, v) && data(request, u, v) > 0 && place[u] != k)
        work->copies[u][k] = work->arrived[k][u];
    for (int s = v + 1; s < num; s++)
      if (needs(request, v, s)) work->lying[s][k] += data(request, v, s);
  }
  if (makespan) *makespan = done;
  return ${NAME}_OK;
}
