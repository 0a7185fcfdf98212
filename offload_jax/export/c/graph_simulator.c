
/* Books the hops of a transfer one after the other; gives when the data is there. Links that a result
 * has `crossed`, if not NULL, are not crossed again; `arrived`, if not NULL, gets the end of each hop. */
static float transfer(const Platform *platform, float *links, int from, int to, float begin,
    float bytes, const float *crossed, float *arrived) {
  for (int hop = 0; hop < 2 && ROUTES[from][to][hop] >= 0; hop++) {
    const int link = ROUTES[from][to][hop];
    if (crossed && crossed[link] >= 0) begin = crossed[link];
    else links[link] = begin = larger(begin, links[link]) + bytes * platform->link_rates[link];
    if (arrived) arrived[hop] = begin;
  }
  return begin;
}

static int first_free(const Platform *platform, const Work *work, int k) {
  int first = 0;
  for (int s = 1; k == ${NAME}_EDGE && s < platform->servers; s++)
    if (work->busy[k][s] < work->busy[k][first]) first = s;
  return first;
}

/* Tries the task in a position at place k, on links that are free when `links` says. */
static Candidate try_place(const Request *request, const Platform *platform, Work *work,
    const int8_t *place, const int32_t *order, int position, int k, const float *links) {
  const int v = order[position];
  Candidate at;
  for (int link = 0; link < LINKS; link++) at.links[link] = links[link];
  at.ready = release(request, v);
  if (request->input[v] > 0)
    at.ready =
        transfer(platform, at.links, ${NAME}_DEVICE, k, at.ready, request->input[v], NULL, NULL);
  for (int i = 0; i < position; i++) {
    const int u = order[i];
    if (!needs(request, u, v)) continue;
    const float bytes = data(request, u, v);
    float arrived = work->finish[u];
    if (bytes > 0 && place[u] != k)
      arrived = transfer(platform, at.links, place[u], k, arrived, bytes,
          request->send_once ? work->crossed[u] : NULL, work->arrived[k][u]);
    at.ready = larger(at.ready, arrived);
  }
  at.start = at.ready;
  if (k != ${NAME}_CLOUD && work->seconds[v][k] > 0)
    at.start = larger(at.ready, work->busy[k][first_free(platform, work, k)]);
  at.finish = at.start + work->seconds[v][k];
  at.back = at.finish;
  if (request->output[v] > 0)
    at.back = transfer(platform, at.links, k, ${NAME}_DEVICE, at.finish, request->output[v], NULL, NULL);
  return at;
}
