#include <cub/block/block_reduce.cuh>
#include <cub/block/block_scan.cuh>

#include "core/gpu/backend.cuh"
#include "decoding/rules.h"
#include "decoding/sampling.cuh"
#include "similarity/topk_key.h"

namespace sartor::cuda {
namespace {

constexpr int threads = 512;  // one block per row
constexpr int digits = 256;

using Sum = unsigned long long;  // of weights; atomicAdd has no overload for uint64_t
using Scan = cub::BlockScan<Sum, threads>;
using Reduce = cub::BlockReduce<Sum, threads>;

struct Shared {
  union {
    typename Scan::TempStorage scan;
    typename Reduce::TempStorage reduce;
  };
  union {
    Sum histogram[digits];
    Sum tiles[threads];  // sums of tiles
  };
  Sum wanted, here, result;
  int32_t digit;
};

// A row of n logits, read by all threads of a block.
struct Row {
  const float* logits;
  int32_t n;
  float largest = -INFINITY, scale = 1;
  bool any_nan = false;

  __device__ bool is_empty() const { return largest == -INFINITY; }
  __device__ Sum weight_of(float logit) const { return weight(scaled_logit(logit, largest, scale)); }
  __device__ float log_probability(int32_t id, Sum total) const {
    const double scaled = scaled_logit(logits[id], largest, scale);
    return static_cast<float>(scaled - log(static_cast<double>(total) / static_cast<double>(largest_weight)));
  }
};

// Ascending order of logits as integers; NaN is -inf.
__device__ uint32_t ascending(float logit) {
  return static_cast<uint32_t>(topk_key(logit > -INFINITY ? logit : -INFINITY, 0) >> 32);
}
__device__ float logit_of(uint32_t ascending) { return topk_score(TopkKey{ascending} << 32); }

__device__ Sum shared_with_all(Shared& shared, Sum value) {  // of thread 0
  if (threadIdx.x == 0) shared.result = value;
  __syncthreads();
  const Sum result = shared.result;
  __syncthreads();
  return result;
}

// Finds the largest logit and NaN; returns the lowest id of the largest, 0 if there is none.
__device__ int32_t scan_row(Shared& shared, Row& row) {
  TopkKey best = topk_key(-INFINITY, 0);
  bool nan = false;
  for (int32_t i = static_cast<int32_t>(threadIdx.x); i < row.n; i += threads) {
    const float logit = row.logits[i];
    nan |= logit != logit;
    if (logit > -INFINITY) best = max(best, topk_key(logit, i));
  }
  const auto larger = [](Sum a, Sum b) { return a > b ? a : b; };
  best = shared_with_all(shared, Reduce(shared.reduce).Reduce(best, larger));
  row.any_nan = __syncthreads_or(nan);
  row.largest = topk_score(best);
  return topk_id(best);
}

struct Threshold {
  float logit;
  Sum wanted, here;  // of the amounts of the logits that are equal to `logit`, and their sum
};

// Finds the largest logit such that the amounts of the logits that are not below it sum up to `wanted(total)`, which is
// 1 to the total. Radix select: a first digit that divides the range of weights evenly, as most logits share their
// first bits, then the bits of the logit.
template <class Amount, class Wanted>
__device__ Threshold find_threshold(Shared& shared, const Row& row, const Amount& amount, const Wanted& wanted) {
  constexpr float buckets_per_unit = digits / 28.0f;
  uint64_t prefix = 0;
  int32_t bucket = 0;
  for (int pass = 0; pass < 5; pass++) {
    const int shift = 32 - 8 * pass;
    if (threadIdx.x < digits) shared.histogram[threadIdx.x] = 0;
    __syncthreads();
    for (int32_t i = static_cast<int32_t>(threadIdx.x); i < row.n; i += threads) {
      const float logit = row.logits[i], below = -scaled_logit(logit, row.largest, row.scale) * buckets_per_unit;
      int32_t digit = below < digits - 1 ? static_cast<int32_t>(below) : digits - 1;
      if (pass > 0) {
        const uint64_t key = ascending(logit);
        if (digit != bucket || key >> (shift + 8) != prefix) continue;
        digit = digits - 1 - static_cast<int32_t>(key >> shift & (digits - 1));
      }
      const Sum some = amount(logit);
      if (some > 0) atomicAdd(shared.histogram + digit, some);
    }
    __syncthreads();
    const Sum here = threadIdx.x < digits ? shared.histogram[threadIdx.x] : 0;
    Sum before, total;
    Scan(shared.scan).ExclusiveSum(here, before, total);
    const Sum rest = pass == 0 ? wanted(total) : shared.wanted;
    __syncthreads();
    if (before < rest && rest <= before + here) {
      shared.digit = static_cast<int32_t>(threadIdx.x);
      shared.wanted = rest - before;
      shared.here = here;
    }
    __syncthreads();
    if (pass == 0) {
      bucket = shared.digit;
    } else {
      prefix = prefix << 8 | static_cast<uint64_t>(digits - 1 - shared.digit);
    }
  }
  const Threshold found = {logit_of(static_cast<uint32_t>(prefix)), shared.wanted, shared.here};
  __syncthreads();
  return found;
}

struct Place {
  int32_t id;
  Sum total;
};

__device__ Sum warp_inclusive_sum(Sum value) {
  const int lane = threadIdx.x % 32;
  for (int distance = 1; distance < 32; distance *= 2) {
    const Sum lower = __shfl_up_sync(~0u, value, distance);
    if (lane >= distance) value += lower;
  }
  return value;
}

// Finds the first id at which the sum of the amounts exceeds `mass(total)`, which is below the total. Each warp sums
// contiguous tiles, one for each thread of the block; one warp then walks through the tile of the place.
template <class Amount, class Mass>
__device__ Place locate(Shared& shared, const Row& row, const Amount& amount, const Mass& mass) {
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const int32_t tile = ((row.n + threads - 1) / threads + 31) / 32 * 32;
  const auto amount_at = [&](int32_t i) { return i < row.n ? amount(row.logits[i], i) : 0; };
  for (int t = warp; t < threads; t += threads / 32) {
    Sum sum = 0;
    for (int32_t i = t * tile + lane; i < min(row.n, (t + 1) * tile); i += 32) sum += amount_at(i);
    for (int step = 16; step; step /= 2) sum += __shfl_xor_sync(~0u, sum, step);
    if (lane == 0) shared.tiles[t] = sum;
  }
  __syncthreads();
  const Sum here = shared.tiles[threadIdx.x];
  Sum before, total;
  Scan(shared.scan).ExclusiveSum(here, before, total);
  const Sum sought = mass(total);
  if (before <= sought && sought < before + here) {
    shared.digit = static_cast<int32_t>(threadIdx.x);
    shared.wanted = sought - before;
  }
  __syncthreads();
  if (warp == 0) {
    Sum rest = shared.wanted;
    for (int32_t first = shared.digit * tile; first < row.n; first += 32) {
      const Sum sum = warp_inclusive_sum(amount_at(first + lane));
      const unsigned beyond = __ballot_sync(~0u, sum > rest);
      if (beyond) {
        if (lane == 0) shared.result = first + __ffs(static_cast<int>(beyond)) - 1;
        break;
      }
      rest -= __shfl_sync(~0u, sum, 31);
    }
  }
  __syncthreads();
  const auto id = static_cast<int32_t>(shared.result);
  __syncthreads();
  return {id, total};
}

__device__ Kept filter(Shared& shared, const Row& row, const SamplingParams& params, uint64_t least_weight) {
  Kept kept = {-INFINITY, INT32_MAX, least_weight};
  if (params.top_k > 0 && params.top_k < row.n) {
    kept.logit = find_threshold(
                     shared, row, [](float) { return Sum{1}; }, [&](Sum) { return Sum(params.top_k); })
                     .logit;
  }
  if (params.top_p < 1) {
    const float least = kept.logit;
    const auto reached = find_threshold(
        shared, row, [&](float logit) { return logit >= least ? row.weight_of(logit) : 0; },
        [&](Sum total) { return max(part_of(params.top_p, total), uint64_t{1}); });
    kept.logit = reached.logit;
    if (reached.wanted < reached.here) {  // of equal logits, those with lower ids
      const Sum last = (reached.wanted - 1) / row.weight_of(reached.logit);
      const auto is_equal = [&](float logit, int32_t) { return Sum(logit == reached.logit); };
      kept.last = locate(shared, row, is_equal, [&](Sum) { return last; }).id;
    }
  }
  return kept;
}

// Draws a token; stores its log-probability under the distribution drawn from. `least_weight` is min_p as a weight.
__device__ int32_t draw_token(Shared& shared, const Row& row, const SamplingParams& params, uint64_t least_weight,
                              const Draw& draw, float& log_probability) {
  const uint64_t bits = philox(params.seed, static_cast<uint64_t>(draw.row), static_cast<uint32_t>(draw.variant),
                               static_cast<uint32_t>(draw.position));
  const Kept kept = filter(shared, row, params, least_weight);
  const auto kept_weight = [&](float logit, int32_t id) {
    const Sum its = row.weight_of(logit);
    return kept(logit, id, its) ? its : 0;
  };
  const Place place = locate(shared, row, kept_weight, [&](Sum total) { return drawn_mass(bits, total); });
  log_probability = row.log_probability(place.id, place.total);
  return place.id;
}

__device__ float model_log_probability(Shared& shared, const Row& row, int32_t id) {
  if (row.any_nan || row.is_empty()) return NAN;
  Sum sum = 0;
  for (int32_t i = static_cast<int32_t>(threadIdx.x); i < row.n; i += threads) sum += row.weight_of(row.logits[i]);
  __syncthreads();
  return row.log_probability(id, shared_with_all(shared, Reduce(shared.reduce).Sum(sum)));
}

// Grid: one block per row.
__global__ void __launch_bounds__(threads) sample_kernel(const SamplingTask task, uint64_t least_weight) {
  __shared__ Shared shared;
  const int64_t r = blockIdx.x;
  const auto n = static_cast<int32_t>(task.logits.columns);
  Row row = {task.logits.data + r * n, n};
  int32_t id = scan_row(shared, row);
  float log_probability = 0;
  if (!task.params.greedy && !row.is_empty()) {
    row.scale = 1 / task.params.temperature;
    id = draw_token(shared, row, task.params, least_weight, task.draws[r], log_probability);
  }
  if (task.log_probabilities) {
    Row model = {task.model_logits.data + r * n, n, row.largest, 1, row.any_nan};
    if (model.logits != row.logits) scan_row(shared, model);
    const float of_model = model_log_probability(shared, model, id);
    if (threadIdx.x == 0) task.log_probabilities[r] = of_model;
  }
  if (threadIdx.x > 0) return;
  task.ids[r] = id;
  if (task.sampled_log_probabilities) task.sampled_log_probabilities[r] = log_probability;
  if (const TokenHistory& history = task.append; history.ids && history.lengths[r] < history.stride) {
    history.ids[r * history.stride + history.lengths[r]++] = id;
  }
}

}  // namespace

void sample_gpu(Context& context, const SamplingTask& task) {
  const uint64_t least_weight = task.params.greedy ? 0 : part_of(task.params.min_p, largest_weight);
  sample_kernel<<<task.logits.rows, threads, 0, gpu(context).stream()>>>(task, least_weight);
  check_launch("sample");
}

}  // namespace sartor::cuda
