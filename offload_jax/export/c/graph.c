
/* Reads a request whose order of tasks is known once the network has been asked; books nothing yet. */
static void start(const Request *request, Platform *platform, Work *work, int32_t *order) {
  read_links(request, platform);
  read_tasks(request, platform, work);
  heads_and_tails(request, platform, work);
  task_features(request, platform, work);
#if ROUNDS > 0
  exchange_messages(request, work);
#endif
  decide_order(request, work, order);
  sum_later(request, work, order);
  for (int v = 0; v < request->num_tasks; v++) {
    work->busy[0][v] = work->busy[1][v] = 0;
    for (int k = 0; k < PLACES; k++) work->resident_bytes[v][k] = 0;
    for (int link = 0; link < LINKS; link++) work->crossed[v][link] = -1;
  }
}

/* Books task v at place k as it was tried there. */
static void commit(const Request *request, const Platform *platform, Work *work, int8_t *place,
    int v, int k, const Candidate *at, float *links) {
  place[v] = (int8_t)k;
  work->finish[v] = at->finish;
  for (int link = 0; link < LINKS; link++) links[link] = at->links[link];
  if (k != ${NAME}_CLOUD && work->seconds[v][k] > 0)
    work->busy[k][first_free(platform, work, k)] = at->finish;
  for (int u = 0; u < v; u++)
    if (needs(request, u, v) && data(request, u, v) > 0)
      for (int hop = 0; hop < 2 && ROUTES[place[u]][k][hop] >= 0; hop++)
        work->crossed[u][ROUTES[place[u]][k][hop]] = work->arrived[k][u][hop];
  for (int s = v + 1; s < request->num_tasks; s++)
    if (needs(request, v, s)) work->resident_bytes[s][k] += data(request, v, s);
}

int ${name}_decide(const Request *request, Work *work, int8_t *place, int32_t *order,
    float *makespan) {
  const int error = check(request);
  if (error) return error;
  Platform platform;
  float links[LINKS] = {0, 0, 0, 0}, done = 0;
  start(request, &platform, work, order);
  for (int i = 0; i < request->num_tasks; i++) {
    const int v = order[i];
    Candidate at[PLACES];
    float places[PLACES][NUM_PLACE], step[NUM_STEP];
    for (int k = 0; k < PLACES; k++)
      at[k] = try_place(request, &platform, work, place, order, i, k, links);
    int k = ${NAME}_DEVICE;
    if (!work->empty[v]) {
      observe(request, &platform, work, i, v, links, at, places, step);
      k = choose(&platform, places, step, work->embedding[v]);
    }
    done = larger(done, larger(at[k].finish, at[k].back));
    commit(request, &platform, work, place, v, k, &at[k], links);
  }
  if (makespan) *makespan = done;
  return ${NAME}_OK;
}
