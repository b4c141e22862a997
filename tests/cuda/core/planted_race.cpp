// Program with a data race in a parallel_for loop, to test that ThreadSanitizer reports it.
#include "core/parallel_for.h"

int main() {
  int64_t sum = 0;
  sartor::cuda::parallel_for(2, 100000, 1, [&](int64_t begin, int64_t, int) { sum += begin; });
  return sum == 0;
}
