
/* Rates of links, of ways from place to place, and which places can be used. */
static void read_links(const Request *request, Platform *platform) {
  for (int link = 0; link < LINKS; link++) {
    const float bandwidth =
        link < 2 ? request->device_edge_bandwidth : request->edge_cloud_bandwidth;
    platform->link_rates[link] = bandwidth > 0 ? 1 / bandwidth : infinity();
  }
  for (int j = 0; j < PLACES; j++)
    for (int k = 0; k < PLACES; k++) {
      platform->rates[j][k] = 0;
      for (int hop = 0; hop < 2 && ROUTES[j][k][hop] >= 0; hop++)
        platform->rates[j][k] += platform->link_rates[ROUTES[j][k][hop]];
    }
  for (int k = 0; k < PLACES; k++) {
    platform->live[k] = is_finite(platform->rates[0][k]) && is_finite(platform->rates[k][0]);
    float total = 0;
    int count = 0;
    for (int j = 0; j < PLACES; j++)
      if (j != k && is_finite(platform->rates[k][j])) {
        total += platform->rates[k][j];
        count++;
      }
    platform->far[k] = total / (float)(count ? count : 1);
  }
  platform->servers =
      request->edge_servers < request->num_tasks ? request->edge_servers : request->num_tasks;
}

/* Mean seconds per byte between different live places, and from other live places to the device. */
static void mean_rates(const Platform *platform, float *between, float *home) {
  float total = 0, back = 0;
  int pairs = 0, ways = 0;
  for (int j = 0; j < PLACES; j++)
    for (int k = 0; k < PLACES; k++)
      if (j != k && platform->live[j] && platform->live[k] && is_finite(platform->rates[j][k])) {
        total += platform->rates[j][k];
        pairs++;
      }
  for (int j = 1; j < PLACES; j++)
    if (platform->live[j]) {
      back += platform->rates[j][0];
      ways++;
    }
  *between = total / (float)(pairs ? pairs : 1);
  *home = back / (float)(ways ? ways : 1);
}

/* Seconds of tasks and of their inputs and outputs, and which tasks change nothing. */
static void read_tasks(const Request *request, const Platform *platform, Work *work) {
  const int num = request->num_tasks;
  for (int v = 0; v < num; v++) {
    work->seconds[v][0] = request->cycles[v] / request->device_speed;
    work->seconds[v][1] = request->cycles[v] / request->edge_speed;
    work->seconds[v][2] = 0;
    work->empty[v] = !(request->input[v] > 0 || request->output[v] > 0 || release(request, v) > 0 ||
                       work->seconds[v][0] > 0 || work->seconds[v][1] > 0);
    for (int k = 0; k < PLACES; k++) {
      work->input_seconds[v][k] = moving(request->input[v], platform->rates[0][k]);
      work->output_seconds[v][k] = moving(request->output[v], platform->rates[k][0]);
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

/* Without contention: `head`, the least seconds until a task is done at a place, and `tail`, from
 * then until all that follows is home. */
static void heads_and_tails(const Request *request, Platform *platform, Work *work) {
  static const float nothing[PLACES] = {0, 0, 0};
  const int num = request->num_tasks;
  for (int v = num; v-- > 0;)
    for (int k = 0; k < PLACES; k++) {
      float rest = work->output_seconds[v][k];
      for (int s = v + 1; s < num; s++)
        if (needs(request, v, s))
          rest = larger(rest, first_over(work->seconds[s], work->tail[s], data(request, v, s),
                                  platform->rates, k, 0));
      work->tail[v][k] = rest;
    }
  for (int v = 0; v < num; v++)
    for (int k = 0; k < PLACES; k++) {
      float begin = release(request, v) + work->input_seconds[v][k];
      for (int u = 0; u < v; u++)
        if (needs(request, u, v))
          begin = larger(begin, first_over(work->head[u], nothing, data(request, u, v),
                                    platform->rates, k, 1));
      work->head[v][k] = begin + work->seconds[v][k];
    }
}

static float least_through(const Work *work, int v) {
  float least = infinity();
  for (int k = 0; k < PLACES; k++) least = smaller(least, work->head[v][k] + work->tail[v][k]);
  return least;
}

/* The scale of all times: everything at the best single place. */
static void set_scale(const Request *request, Platform *platform, const Work *work, float bound) {
  platform->scale = infinity();
  for (int k = 0; k < PLACES; k++) {
    float fetching = 0, running = 0, returning = 0;
    for (int v = 0; v < request->num_tasks; v++) {
      fetching += work->input_seconds[v][k];
      running += work->seconds[v][k];
      returning += work->output_seconds[v][k];
    }
    if (k == ${NAME}_EDGE) running /= (float)request->edge_servers;
    platform->single_place_seconds[k] = fetching + running + returning;
    platform->scale = smaller(platform->scale, platform->single_place_seconds[k]);
  }
  if (!is_finite(platform->scale)) platform->scale = bound;
  if (!(is_finite(platform->scale) && platform->scale > 0)) platform->scale = 1;
}

/* What the network is told of each task, into the first columns of `embedding`. */
static void task_features(const Request *request, Platform *platform, Work *work) {
  const int num = request->num_tasks;
  float between, home, total_seconds = 0, total_moved = 0, total_bytes = 0, bound = 0, highest = 0;
  float agreed_highest = 1e-30f;
  int count = 0;
  mean_rates(platform, &between, &home);
  for (int v = num; v-- > 0;) {
    float mean = 0;
    int places = 0;
    for (int k = 0; k < PLACES; k++)
      if (platform->live[k] && is_finite(work->seconds[v][k])) {
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
    work->embedding[v][TASK_MEAN_SECONDS] = mean;
    bound = larger(bound, least_through(work, v));
  }
  for (int v = 0; v < num; v++) {
    if (work->empty[v]) work->rank[v] = -1;
    else count++;
    highest = larger(highest, work->rank[v]);
  }
  if (!(highest > 0)) highest = 1;
  set_scale(request, platform, work, bound);
  beliefs(request, platform, work);
  for (int v = 0; v < num; v++) agreed_highest = larger(agreed_highest, work->agreed_rank[v]);
  platform->unit = total_moved / (total_bytes > 0 ? total_bytes : 1);

  const float scale = platform->scale;
  for (int v = 0; v < num; v++) {
    float *task = work->embedding[v], moved = 0, sent = 0, most = 0, got = 0, ranks = 0;
    int readers = 0, needed = 0;
    float shortest = infinity(), longest = 0, head = infinity(), tail = infinity(), fetch = 0;
    float margin = infinity();
    for (int u = 0; u < v; u++)
      if (needs(request, u, v)) {
        got += moving(data(request, u, v), between);
        needed++;
      }
    for (int s = v + 1; s < num; s++)
      if (needs(request, v, s)) {
        moved = moving(data(request, v, s), between);
        sent += moved;
        most = larger(most, moved);
        ranks += work->rank[s] / highest;
        readers++;
      }
    for (int k = 0; k < PLACES; k++) {
      if (platform->live[k]) {
        shortest = smaller(shortest, work->seconds[v][k]);
        if (is_finite(work->seconds[v][k])) longest = larger(longest, work->seconds[v][k]);
        fetch = larger(fetch, work->input_seconds[v][k]);
      }
      head = smaller(head, work->head[v][k]);
      tail = smaller(tail, work->tail[v][k]);
      if (k != work->agreed[v]) margin = smaller(margin, work->extra[v][k]);
    }
    const float returning = moving(request->output[v], home);
    const float agreed = work->seconds[v][work->agreed[v]];
    task[TASK_RANK] = bounded(work->rank[v] / scale);
    task[TASK_RANK_SHARE] = bounded(work->rank[v] / highest);
    task[TASK_MEAN_SECONDS] = bounded(task[TASK_MEAN_SECONDS] / scale);
    task[TASK_LEAST_SECONDS] = bounded(shortest / scale);
    task[TASK_MOST_SECONDS] = bounded(longest / scale);
    task[TASK_HEAD] = bounded(head / scale);
    task[TASK_TAIL] = bounded(tail / scale);
    task[TASK_SLACK] = bounded((bound - least_through(work, v)) / scale);
    task[TASK_MOVED_ON] = bounded((sent + returning) / scale);
    task[TASK_MOST_MOVED] = bounded(most / scale);
    task[TASK_MOVED_IN] = bounded(got / scale);
    task[TASK_INPUT] = bounded(fetch / scale);
    task[TASK_NUM_READERS] = smaller((float)readers / 4, LIMIT);
    task[TASK_NUM_NEEDED] = smaller((float)needed / 4, LIMIT);
    task[TASK_RETURNING] = bounded(returning / scale);
    task[TASK_READER_RANKS] = bounded(ranks / 4);
    task[TASK_BOUND] = bounded(bound / scale);
    task[TASK_HIGHEST_RANK] = bounded(highest / scale);
    task[TASK_TOTAL_SECONDS] = bounded(total_seconds / 4 / scale);
    task[TASK_TOTAL_MOVED] = bounded(total_moved / 4 / scale);
    task[TASK_AGREED_RANK] = bounded(work->agreed_rank[v] / scale);
    task[TASK_AGREED_RANK_SHARE] = bounded(work->agreed_rank[v] / agreed_highest);
    task[TASK_MARGIN] = bounded(margin / scale);
    task[TASK_AGREED_SECONDS] = bounded(is_finite(agreed) ? agreed / scale : 0);
    task[TASK_AGREED_HIGHEST] = bounded(agreed_highest / scale);
    task[TASK_NUM_TASKS] = bounded(logarithm((float)(count ? count : 1)) / logarithm(2) / 4);
  }
}
