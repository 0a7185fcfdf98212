
/* Sums over the tasks that come later in the order; `work_left` over this task, too. */
static void sum_later(const Request *request, Work *work, const int32_t *order) {
  for (int k = 0; k < PLACES; k++) {
    float running = 0, agreed = 0, fetching = 0, returning = 0;
    for (int i = request->num_tasks; i-- > 0;) {
      const int v = order[i];
      work->to_fetch[i][k] = fetching;
      work->to_return[i][k] = returning;
      work->agreed_left[i][k] = agreed;
      if (is_finite(work->seconds[v][k])) {
        running += work->seconds[v][k];
        if (k == work->agreed[v]) agreed += work->seconds[v][k];
      }
      if (is_finite(work->input_seconds[v][k])) fetching += work->input_seconds[v][k];
      if (is_finite(work->output_seconds[v][k])) returning += work->output_seconds[v][k];
      work->work_left[i][k] = running;
    }
  }
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
static void observe(const Request *request, const Platform *platform, const Work *work,
    int position, int v, const float *links, const Candidate *at, float places[][NUM_PLACE],
    float *step) {
  const float scale = platform->scale, unit = platform->unit;
  float first = infinity(), least = infinity(), longest = 0, last = 0, sent = 0, busiest = 0;
  float least_agreed = infinity(), own = 0;
  float through[PLACES], agreed_through[PLACES], beside[PLACES] = {0, 0, 0};
  for (int k = 0; k < PLACES; k++) {
    through[k] = at[k].finish + work->tail[v][k];
    agreed_through[k] = at[k].finish + work->agreed_tail[v][k];
    if (is_finite(work->seconds[v][k])) own += work->seconds[v][k] / PLACES;
    if (!platform->live[k]) continue;
    first = smaller(first, at[k].finish);
    least = smaller(least, through[k]);
    least_agreed = smaller(least_agreed, agreed_through[k]);
    longest = larger(longest, through[k]);
    if (is_finite(at[k].finish)) last = larger(last, at[k].finish);
  }
  if (!is_finite(first)) first = 0;
  if (!is_finite(least)) least = 0;
  if (!is_finite(least_agreed)) least_agreed = 0;
  for (int s = v + 1; s < request->num_tasks; s++)
    if (needs(request, v, s)) {
      sent += data(request, v, s);
      for (int k = 0; k < PLACES; k++) beside[k] += work->resident_bytes[s][k];
    }
  sent *= unit;
  own += sent + LEAST_OWN * scale;
  for (int link = 0; link < LINKS; link++) busiest += links[link];
  for (int k = 0; k < PLACES; k++) {
    const float idle = k == ${NAME}_CLOUD ? first : work->busy[k][first_free(platform, work, k)];
    const float servers = k == ${NAME}_EDGE ? (float)request->edge_servers : 1;
    const float todo = k == ${NAME}_CLOUD ? 0 : work->work_left[position][k] / servers;
    const float agreed = k == ${NAME}_CLOUD ? 0 : work->agreed_left[position][k] / servers;
    float fetching = 0, taken = 0;
    for (int j = 0; j < PLACES; j++)
      if (j != k) fetching += moving(beside[j], platform->rates[j][k]);
    for (int link = 0; link < LINKS; link++) taken += at[k].links[link];
    const float values[PLACE_FINISH_GAP] = {
        [PLACE_READY] = at[k].ready - first,
        [PLACE_START] = at[k].start - first,
        [PLACE_FINISH] = at[k].finish - first,
        [PLACE_BACK] = at[k].back - first,
        [PLACE_BESIDE_LEAST] = through[k] - least,
        [PLACE_TAIL] = work->tail[v][k],
        [PLACE_SECONDS] = is_finite(work->seconds[v][k]) ? work->seconds[v][k] : 0,
        [PLACE_WAIT] = at[k].start - at[k].ready,
        [PLACE_IDLE] = idle - first,
        [PLACE_WORK_LEFT] = todo,
        [PLACE_DRAINED] = idle + todo - first,
        [PLACE_LINK_SECONDS] = taken - busiest,
        [PLACE_INBOUND] = latest(links, k, 1) - first,
        [PLACE_OUTBOUND] = latest(links, k, 0) - first,
        [PLACE_SIBLING_BYTES] = beside[k] * unit,
        [PLACE_SIBLING_FETCH] = fetching,
        [PLACE_RESIDENT] = work->resident_bytes[v][k] * unit,
        [PLACE_INPUTS_LEFT] = work->to_fetch[position][k],
        [PLACE_OUTPUTS_LEFT] = work->to_return[position][k],
        [PLACE_SINGLE_PLACE] = platform->single_place_seconds[k],
        [PLACE_DRAINED_HOME] = idle + todo + work->to_return[position][k] - least,
        [PLACE_EXTRA] = work->extra[v][k],
        [PLACE_AGREED_TAIL] = work->agreed_tail[v][k],
        [PLACE_AGREED_SENT] = work->agreed_sent[v][k],
        [PLACE_AGREED_LEFT] = agreed,
        [PLACE_AGREED_DRAINED] = idle + agreed - first,
        [PLACE_AGREED_THROUGH] = agreed_through[k] - least,
        [PLACE_SENT_FAR] = sent * platform->far[k] / larger(unit, 1e-30f),
    };
    const float gaps[] = {
        at[k].finish - first,
        through[k] - least,
        agreed_through[k] - least_agreed,
        work->extra[v][k],
        at[k].start - at[k].ready,
    };
    for (int i = 0; i < PLACE_FINISH_GAP; i++) places[k][i] = bounded(values[i] / scale);
    for (int i = 0; i < NUM_PLACE - PLACE_FINISH_GAP; i++) {
      const float more = larger(gaps[i], 0); /* Dead places may be earlier. */
      places[k][PLACE_FINISH_GAP + i] = is_finite(gaps[i]) ? more / (more + own) : 1;
    }
  }
  const float values[NUM_STEP] = {
      [STEP_FIRST] = first,
      [STEP_LEAST] = least,
      [STEP_SENT] = sent,
      [STEP_SPREAD_THROUGH] = longest - least,
      [STEP_SPREAD_FINISH] = last - first,
  };
  for (int i = 0; i < NUM_STEP; i++) step[i] = bounded(values[i] / scale);
}
