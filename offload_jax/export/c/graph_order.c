
#if ROUNDS > 0
/* Tasks tell their neighbours in the graph what they know, a few times; into the last columns. */
static void exchange_messages(const Request *request, Work *work) {
  const int num = request->num_tasks;
  int now = 0;
  for (int v = 0; v < num; v++) {
    layer(NUM_TASK, MESSAGE, message_in_kernel, message_in_bias, 1, work->embedding[v],
        work->messages[now][v]);
  }
  for (int round = 0; round < ROUNDS; round++) {
    for (int v = 0; v < num; v++) {
      float inputs[3 * MESSAGE], *message = work->messages[1 - now][v];
      for (int i = 0; i < MESSAGE; i++) {
        inputs[i] = work->messages[now][v][i];
        inputs[MESSAGE + i] = inputs[2 * MESSAGE + i] = 0;
      }
      for (int s = v + 1; s < num; s++)
        if (needs(request, v, s))
          for (int i = 0; i < MESSAGE; i++)
            inputs[MESSAGE + i] += work->messages[now][s][i] / 4;
      for (int u = 0; u < v; u++)
        if (needs(request, u, v))
          for (int i = 0; i < MESSAGE; i++)
            inputs[2 * MESSAGE + i] += work->messages[now][u][i] / 4;
      layer(3 * MESSAGE, MESSAGE, message_kernels + round * 3 * MESSAGE * MESSAGE,
          message_biases + round * MESSAGE, 1, inputs, message);
      for (int i = 0; i < MESSAGE; i++) message[i] += inputs[i];
    }
    now = 1 - now;
  }
  for (int v = 0; v < num; v++)
    for (int i = 0; i < MESSAGE; i++) work->embedding[v][NUM_TASK + i] = work->messages[now][v][i];
}
#endif

/* How urgent each task is, and from that the order: the most urgent of those that are ready. */
static void decide_order(const Request *request, Work *work, int32_t *order) {
  const int num = request->num_tasks;
  for (int v = 0; v < num; v++) {
    float first[ORDER_HIDDEN], second[ORDER_HIDDEN], skip, *urgency = &work->urgency[v];
    layer(EMBEDDING, ORDER_HIDDEN, order_in_kernel, order_in_bias, 1, work->embedding[v], first);
    layer(ORDER_HIDDEN, ORDER_HIDDEN, order_middle_kernel, order_middle_bias, 1, first, second);
    layer(ORDER_HIDDEN, 1, order_out_kernel, NULL, 0, second, urgency);
    layer(EMBEDDING, 1, order_skip, NULL, 0, work->embedding[v], &skip);
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
