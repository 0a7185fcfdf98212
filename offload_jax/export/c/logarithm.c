
/* The natural logarithm of a positive, finite, normal number, to a few units in the last place. */
static float logarithm(float value) {
  union {
    uint32_t bits;
    float value;
  } number;
  number.value = value;
  /* value = 2^exponent * mantissa, sqrt(1/2) <= mantissa < sqrt(2). */
  const uint32_t shifted = number.bits + UINT32_C(0x004afb0d);
  const int exponent = (int)(shifted >> 23) - 127;
  number.bits = (shifted & UINT32_C(0x007fffff)) + UINT32_C(0x3f3504f3);
  const float s = (number.value - 1) / (number.value + 1), z = s * s;
  /* log((1 + s) / (1 - s)) = 2 (s + s^3 / 3 + s^5 / 5 + ...), |s| < 0.172. */
  const float series = s * (2 + z * (2.0f / 3 + z * (2.0f / 5 + z * (2.0f / 7 + z * (2.0f / 9)))));
  return (float)exponent * 0.693147181f + series;
}
