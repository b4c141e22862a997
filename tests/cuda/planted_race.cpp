// A program with a data race, so that a test can see ThreadSanitizer find it in loops of parallel_for.
#include "core/parallel_for.h"

int main() {
  int64_t sum = 0;
  sartor::cuda::parallel_for(2, 100000, 1, [&](int64_t begin, int64_t, int) { sum += begin; });
  return sum == 0;
}
