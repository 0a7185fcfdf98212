
/* outputs = inputs @ kernel + bias; a bias of NULL is 0. Rectified units leave NaN as it is. */
static void layer(int num_in, int num_out, const float *restrict kernel, const float *restrict bias,
    int rectified, const float *restrict inputs, float *restrict outputs) {
  for (int o = 0; o < num_out; o++) outputs[o] = bias ? bias[o] : 0;
  for (int i = 0; i < num_in; i++)
    for (int o = 0; o < num_out; o++) outputs[o] += inputs[i] * kernel[i * num_out + o];
  for (int o = 0; rectified && o < num_out; o++)
    if (outputs[o] <= 0) outputs[o] = 0;
}
