
/* Where the serial latency would have each task, and what follows it where all are there: `_jax/beliefs.py`
 * of offload_jax, once more. */
static float way(const Request *request, const Platform *platform, int u, int v, int j, int k) {
  return smaller(moving(data(request, u, v), platform->rates[j][k]), NEVER * platform->scale);
}

static float own_seconds(const Platform *platform, const Work *work, int v, int k) {
  const float moved = work->input_seconds[v][k] + work->output_seconds[v][k];
  return smaller(work->seconds[v][k] + moved, NEVER * platform->scale);
}

/* What of its belief a task tells along each edge. */
static float share(const Request *request, int v) {
  int needed = 0, readers = 0;
  for (int u = 0; u < v; u++) needed += needs(request, u, v);
  for (int s = v + 1; s < request->num_tasks; s++) readers += needs(request, v, s);
  if (readers > needed) needed = readers;
  return 1 / (float)(needed ? needed : 1);
}

static float *message_of(Work *work, int u, int v) { return work->told[v * (v - 1) / 2 + u]; }

/* Tells one end of the edge from u to v what the other knows: the least over places of that one, from 0.
 * To and fro a message takes the place of the one that answers it. */
static const float *tell(const Request *request, const Platform *platform, Work *work, int u, int v,
    int onwards) {
  float *message = message_of(work, u, v), told[PLACES], least = infinity();
  const int from = onwards ? u : v;
  for (int k = 0; k < PLACES; k++) told[k] = work->share[from] * work->extra[from][k] - message[k];
  for (int k = 0; k < PLACES; k++) {
    message[k] = infinity();
    for (int q = 0; q < PLACES; q++) {
      const float moved =
          onwards ? way(request, platform, u, v, q, k) : way(request, platform, u, v, k, q);
      message[k] = smaller(message[k], told[q] + moved);
    }
    least = smaller(least, message[k]);
  }
  for (int k = 0; k < PLACES; k++) message[k] -= least;
  return message;
}

static void forwards(const Request *request, const Platform *platform, Work *work) {
  for (int v = 0; v < request->num_tasks; v++) {
    for (int k = 0; k < PLACES; k++)
      work->extra[v][k] = own_seconds(platform, work, v, k) + work->behind[v][k];
    for (int u = 0; u < v; u++) {
      if (!needs(request, u, v)) continue;
      const float *message = tell(request, platform, work, u, v, 1);
      for (int k = 0; k < PLACES; k++) work->extra[v][k] += message[k];
    }
  }
}

static void backwards(const Request *request, const Platform *platform, Work *work) {
  for (int v = 0; v < request->num_tasks; v++)
    for (int k = 0; k < PLACES; k++) work->behind[v][k] = 0;
  for (int v = request->num_tasks; v-- > 0;) {
    for (int k = 0; k < PLACES; k++)
      work->extra[v][k] = own_seconds(platform, work, v, k) + work->behind[v][k];
    for (int u = 0; u < v; u++)
      if (needs(request, u, v))
        for (int k = 0; k < PLACES; k++) work->extra[v][k] += message_of(work, u, v)[k];
    for (int u = 0; u < v; u++) {
      if (!needs(request, u, v)) continue;
      const float *message = tell(request, platform, work, u, v, 0);
      for (int k = 0; k < PLACES; k++) work->behind[u][k] += message[k];
    }
  }
}

/* The place of least seconds given those of what the task needs, the first of those equally good. */
static int agree(const Request *request, const Platform *platform, const Work *work, int v) {
  float total[PLACES], least = infinity();
  int k;
  for (k = 0; k < PLACES; k++) {
    total[k] = own_seconds(platform, work, v, k) + work->behind[v][k];
    for (int u = 0; u < v; u++)
      if (needs(request, u, v)) total[k] += way(request, platform, u, v, work->agreed[u], k);
    least = smaller(least, total[k]);
  }
  for (k = 0; !(total[k] <= least + SAME * NEVER * platform->scale); k++) continue;
  return k;
}

static void what_follows(const Request *request, const Platform *platform, Work *work) {
  const float never = NEVER * platform->scale;
  for (int v = request->num_tasks; v-- > 0;) {
    for (int k = 0; k < PLACES; k++) {
      float *tail = &work->agreed_tail[v][k], *sent = &work->agreed_sent[v][k];
      *tail = *sent = smaller(work->output_seconds[v][k], never);
      for (int s = v + 1; s < request->num_tasks; s++) {
        if (!needs(request, v, s)) continue;
        const float moved = way(request, platform, v, s, k, work->agreed[s]);
        *tail = larger(*tail, moved + work->agreed_rank[s]);
        *sent += moved;
      }
    }
    const int k = work->agreed[v];
    work->agreed_rank[v] = smaller(work->seconds[v][k], never) + work->agreed_tail[v][k];
  }
}

static void beliefs(const Request *request, const Platform *platform, Work *work) {
  for (int v = 0; v < request->num_tasks; v++) {
    work->share[v] = share(request, v);
    for (int k = 0; k < PLACES; k++) work->behind[v][k] = 0;
    for (int u = 0; u < v; u++)
      for (int k = 0; k < PLACES; k++) message_of(work, u, v)[k] = 0;
  }
  for (int round = 0; round < BELIEF_ROUNDS; round++) {
    forwards(request, platform, work);
    backwards(request, platform, work);
  }
  for (int v = 0; v < request->num_tasks; v++) {
    float least = infinity();
    work->agreed[v] = (uint8_t)agree(request, platform, work, v);
    for (int k = 0; k < PLACES; k++) least = smaller(least, work->extra[v][k]);
    for (int k = 0; k < PLACES; k++) work->extra[v][k] -= least;
  }
  what_follows(request, platform, work);
}
