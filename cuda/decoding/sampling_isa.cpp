// Compiled once per instruction set (SARTOR_ISA); everything except the table at the end is local to this file.
#include "core/vectors_isa.h"
#include "decoding/rules.h"
#include "decoding/sampling_kernels.h"

namespace sartor::cuda::SARTOR_ISA {
namespace {

constexpr float none = -__builtin_inff();

// The length of the block that begins at `first`.
int64_t block_length(int64_t first, int64_t n) { return n - first < logit_block ? n - first : logit_block; }

RowMaxima find_maxima(const float* row, int64_t n, float* maxima) {
  float largest = none;
  Integers is_nan = {};
  for (int64_t first = 0; first < n; first += logit_block) {
    const int64_t length = block_length(first, n);
    Vector block = broadcast(none);
    for (int64_t i = 0; i < length; i += width) {
      Vector x = load_part(row + first + i, length - i);
      if (length - i < width) x = indices() < static_cast<int>(length - i) ? x : broadcast(none);
      block = x > block ? x : block;
      is_nan |= x != x;
    }
    const float found = cuda::SARTOR_ISA::largest(block);
    maxima[first / logit_block] = found;
    if (found > largest) largest = found;
  }
  int32_t any_nan = 0;
  for (int i = 0; i < width; i++) any_nan |= is_nan[i];
  return {largest, any_nan != 0};
}

uint64_t sum_blocks(const float* row, int64_t n, float largest, float scale, uint64_t* sums) {
  uint64_t total = 0;
  for (int64_t first = 0; first < n; first += logit_block) {
    uint64_t sum = 0;
    if (n - first >= logit_block) {
      for (int64_t i = 0; i < logit_block; i++) sum += weight(scaled_logit(row[first + i], largest, scale));
    } else {
      for (int64_t i = first; i < n; i++) sum += weight(scaled_logit(row[i], largest, scale));
    }
    sums[first / logit_block] = sum;
    total += sum;
  }
  return total;
}

void weigh(const float* logits, int64_t n, float largest, float scale, uint64_t* weights) {
  for (int64_t i = 0; i < n; i++) weights[i] = weight(scaled_logit(logits[i], largest, scale));
}

uint32_t at_least(Vector a, Vector b) {  // bit i: a >= b in lane i
#ifdef __AVX512F__
  return _mm512_cmp_ps_mask(a, b, _CMP_GE_OQ);
#else
  return static_cast<uint32_t>(_mm256_movemask_ps(_mm256_cmp_ps(a, b, _CMP_GE_OQ)));
#endif
}

int64_t gather(const float* row, int64_t n, const float* maxima, float cut, float* logits, int32_t* ids) {
  const Vector least = broadcast(cut);
  int64_t count = 0;
  for (int64_t first = 0; first < n; first += logit_block) {
    if (!(maxima[first / logit_block] >= cut)) continue;
    const int64_t end = first + block_length(first, n);
    for (int64_t i = first; i < end; i += width) {
      uint32_t hits = at_least(load_part(row + i, end - i), least);
      if (end - i < width) hits &= (1u << (end - i)) - 1;
      for (; hits; hits &= hits - 1) {
        const int64_t id = i + __builtin_ctz(hits);
        logits[count] = row[id];
        ids[count++] = static_cast<int32_t>(id);
      }
    }
  }
  return count;
}

uint64_t keep(const float* logits, const int32_t* ids, int64_t n, const Kept& kept, uint64_t* weights) {
  const Kept local = kept;
  uint64_t total = 0;
  for (int64_t i = 0; i < n; i++) {
    weights[i] = local(logits[i], ids[i], weights[i]) ? weights[i] : 0;
    total += weights[i];
  }
  return total;
}

}  // namespace

const SamplingKernels sampling_kernels = {find_maxima, sum_blocks, weigh, gather, keep};

}  // namespace sartor::cuda::SARTOR_ISA
