#include "core/gpu/backend.cuh"
#include "decoding/penalties.cuh"
#include "decoding/rules.h"

namespace sartor::cuda {
namespace {

constexpr int threads = 256;  // per block

// One row with its history.
struct Row {
  const float* logits;
  float* processed;
  int64_t columns;
  const int32_t* tokens;
  int32_t length, prompt;

  __device__ Row(const PenaltyTask& task, int64_t row)
      : logits(task.logits.data + row * task.logits.columns),
        processed(task.processed.data + row * task.logits.columns),
        columns(task.logits.columns),
        tokens(task.history.ids + row * task.history.stride),
        length(task.history.lengths[row]),
        prompt(task.history.prompts[row]) {}

  __device__ bool known(int32_t id) const { return id >= 0 && id < columns; }
  __device__ void forbid(int32_t id) const {
    if (known(id)) processed[id] = -INFINITY;
  }
};

// By one thread; the others wait.
__device__ void append_last(const PenaltyTask& task, int64_t row) {
  const auto& [ids, stride, lengths, prompts] = task.history;
  if (threadIdx.x == 0 && task.last.slots && task.last.slots[row] >= 0) {
    ids[row * stride + lengths[row]++] = task.last.ids[task.last.slots[row]];
  }
  __syncthreads();
}

__device__ bool equal(const int32_t* a, const int32_t* b, int32_t count) {
  for (int32_t i = count - 1; i >= 0; i--) {  // from the end, which differs most often
    if (a[i] != b[i]) return false;
  }
  return true;
}

// `counts` (V): scratch memory of any content, or null without presence and frequency. Threads that write to one place
// write the same value.
__device__ void penalize_repetitions(const Row& row, const PenaltyParams& params, int32_t* counts) {
  const auto penalize = [&](int32_t id, int32_t count) {
    row.processed[id] = penalized(row.logits[id], count, params.repetition, params.frequency, params.presence);
  };
  const auto each = [&](int32_t begin, int32_t end, const auto& use) {
    for (int32_t i = begin + static_cast<int32_t>(threadIdx.x); i < end; i += threads) {
      if (row.known(row.tokens[i])) use(row.tokens[i]);
    }
    __syncthreads();
  };
  each(0, counts ? row.prompt : row.length, [&](int32_t id) { penalize(id, 0); });
  if (!counts) return;
  each(row.prompt, row.length, [&](int32_t id) { counts[id] = 0; });
  each(row.prompt, row.length, [&](int32_t id) { atomicAdd(counts + id, 1); });
  each(row.prompt, row.length, [&](int32_t id) { penalize(id, counts[id]); });
}

__device__ void forbid_repeated_ngrams(const Row& row, int32_t n) {
  if (n == 0 || row.length < n) return;
  const int32_t* begun = row.tokens + row.length - (n - 1);
  for (int32_t first = static_cast<int32_t>(threadIdx.x); first + n <= row.length; first += threads) {
    if (equal(row.tokens + first, begun, n - 1)) row.forbid(row.tokens[first + n - 1]);
  }
}

__device__ void forbid_banned(const Row& row, const BannedTokens& banned) {
  for (int64_t s = threadIdx.x; s < banned.count; s += threads) {
    const int32_t *sequence = banned.ids + banned.offsets[s], others = banned.offsets[s + 1] - banned.offsets[s] - 1;
    if (others < 0 || others > row.length) continue;
    if (equal(row.tokens + row.length - others, sequence, others)) row.forbid(sequence[others]);
  }
}

// Changes a copy of the logits. One block per row. `counts` (rows, V) or null.
__global__ void __launch_bounds__(threads) penalize_kernel(const PenaltyTask task, int32_t* counts) {
  append_last(task, blockIdx.x);
  const Row row(task, blockIdx.x);
  penalize_repetitions(row, task.params, counts ? counts + blockIdx.x * row.columns : nullptr);
  forbid_repeated_ngrams(row, task.params.no_repeat_ngram);
  forbid_banned(row, task.banned);
  if (row.length - row.prompt < task.params.min_new_tokens) {
    for (int64_t i = threadIdx.x; i < task.ends; i += threads) row.forbid(task.end_ids[i]);
  }
}

}  // namespace

void penalize_gpu(Context& context, const PenaltyTask& task) {
  const auto& [logits, history, last, params, banned, end_ids, ends, processed] = task;
  const int64_t size = logits.rows * logits.columns;
  const bool counted = params.presence != 0 || params.frequency != 0;
  const cudaStream_t stream = gpu(context).stream();
  auto* counts = counted ? static_cast<int32_t*>(context.scratch(size * sizeof(int32_t))) : nullptr;
  check(cudaMemcpyAsync(processed.data, logits.data, size * sizeof(float), cudaMemcpyDeviceToDevice, stream),
        "penalize: copy");
  penalize_kernel<<<logits.rows, threads, 0, stream>>>(task, counts);
  check_launch("penalize");
}

}  // namespace sartor::cuda
