#include <cuda_bf16.h>

#include <algorithm>

#include "core/gpu/backend.cuh"
#include "decoding/decode_attention.cuh"

namespace sartor::cuda {
namespace {

using Bf16 = __nv_bfloat16;

constexpr int threads = 128;
constexpr int part = 128;         // positions per part; one thread computes the scores of one position
constexpr int most_queries = 16;  // heads that are processed together; larger groups read the cache more than once
static_assert(part == threads && part % cache_block == 0);

template <class T> __device__ float load(const void* array, int64_t i) {
  return static_cast<float>(static_cast<const T*>(array)[i]);
}
__device__ float load(const void* array, int64_t i, Store store) {
  return store == Store::fp32 ? load<float>(array, i) : load<Bf16>(array, i);
}
__device__ void save(float* to, float value) { *to = value; }
__device__ void save(Bf16* to, float value) {
  *to = value == value ? __float2bfloat16_rn(value) : __ushort_as_bfloat16(0x7fc0);  // the CPU's NaN
}
__device__ void save(void* array, int64_t i, Store store, float value) {
  store == Store::fp32 ? save(static_cast<float*>(array) + i, value) : save(static_cast<Bf16*>(array) + i, value);
}

// Grid: (rows of a sequence, in turns; sequences).
template <class T> __global__ void __launch_bounds__(threads) append_kernel(const CacheTask task) {
  const auto& [cache, rows, k, v, k_stride, v_stride, store] = task;
  const int64_t s = blockIdx.y, begin = rows.offsets[s], end = rows.offsets[s + 1];
  for (int64_t row = begin + blockIdx.x; row < end; row += gridDim.x) {
    const int64_t position = rows.first[s] + row - begin, slot = position % cache_block;
    const int64_t block = rows.blocks[s * rows.table_columns + position / cache_block];
    for (int64_t i = threadIdx.x; i < cache.kv_heads * cache.d; i += threads) {
      const int64_t base = (block * cache.kv_heads + i / cache.d) * cache.d * cache_block, c = i % cache.d;
      save(static_cast<T*>(cache.keys) + base + c * cache_block + slot, load(k, row * k_stride + i, store));
      save(static_cast<T*>(cache.values) + base + slot * cache.d + c, load(v, row * v_stride + i, store));
    }
  }
}

// Softmax of `queries` heads over some keys, before the division. In shared memory; copied to global memory as rows of
// d + 2 floats.
struct State {
  float* sums;             // (queries, d) sum_j e_j v_j, where e_j = exp(s_j - largest)
  float *largest, *total;  // (queries) max_j s_j, sum_j e_j
};

template <int queries> struct Shared {
  float *q, *e;  // (d, queries) (part, queries)
  State state, by_part;

  static __host__ __device__ int64_t floats(int64_t d) { return queries * (3 * d + part + 4); }
  __device__ Shared(float* memory, int64_t d) {
    const auto take = [&](int64_t count) {
      memory += count * queries;
      return memory - count * queries;
    };
    q = take(d);
    e = take(part);
    state = {take(d), take(1), take(1)};
    by_part = {take(d), take(1), take(1)};
  }
};

// What a block attends to: keys of one sequence and head, and the query heads first_head to first_head + heads - 1 of a
// row at the given position.
struct Problem {
  const DecodeAttentionTask& task;
  const int32_t* blocks;  // of the sequence
  int64_t kv_head, first_head;
  int heads;
  int64_t row, position;

  __device__ int64_t d() const { return task.cache.d; }
  // First element of the block that contains a position, in keys and in values.
  __device__ int64_t block_begin(int64_t at) const {
    return (blocks[at / cache_block] * task.cache.kv_heads + kv_head) * d() * cache_block;
  }
  __device__ int64_t parts() const { return position / part + 1; }
};

// Sets largest and total of `state`, and turns the scores `e` of `count` keys into exp(score - largest). One warp per
// query, in turns.
template <int queries> __device__ void softmax(float* e, int count, State state) {
  const int lane = threadIdx.x % 32;
  for (int j = threadIdx.x / 32; j < queries; j += threads / 32) {
    float largest = -INFINITY, total = 0;
    for (int i = lane; i < count; i += 32) largest = fmaxf(largest, e[i * queries + j]);
    for (int step = 16; step; step /= 2) largest = fmaxf(largest, __shfl_xor_sync(~0u, largest, step));
    for (int i = lane; i < count; i += 32) {
      const float x = expf(e[i * queries + j] - largest);
      e[i * queries + j] = x;
      total += x;
    }
    for (int step = 16; step; step /= 2) total += __shfl_xor_sync(~0u, total, step);
    if (lane == 0) {
      state.largest[j] = largest;
      state.total[j] = total;
    }
  }
}

// The state of the keys of one part, at least one of which is seen. Reads each key and value once for all queries.
template <class T, int queries>
__device__ void attend(const Problem& problem, int64_t index, const Shared<queries>& shared, State state) {
  const int64_t d = problem.d(), first = index * part;
  const int count = static_cast<int>(min(problem.position + 1 - first, int64_t{part})), t = threadIdx.x;
  if (t < count) {
    const T* keys = static_cast<const T*>(problem.task.cache.keys) + problem.block_begin(first + t) + t % cache_block;
    float scores[queries] = {};
#pragma unroll 8
    for (int64_t c = 0; c < d; c++) {
      const auto key = static_cast<float>(keys[c * cache_block]);
      for (int j = 0; j < queries; j++) scores[j] = fmaf(shared.q[c * queries + j], key, scores[j]);
    }
    for (int j = 0; j < queries; j++) shared.e[t * queries + j] = scores[j];
  }
  __syncthreads();
  softmax<queries>(shared.e, count, state);
  __syncthreads();

  // One thread per column; if there are fewer columns, each group of threads takes a share of the keys.
  const int lanes = static_cast<int>(min((d + 31) / 32 * 32, int64_t{threads})), shares = threads / lanes;
  const int share = t / lanes, lane = t % lanes;
  for (int64_t c = lane; c < (d + lanes - 1) / lanes * lanes; c += lanes) {
    float sums[queries] = {};
    if (share < shares && c < d) {
      for (int block = share; block * cache_block < count; block += shares) {
        const int begin = block * static_cast<int>(cache_block),
                  end = min(begin + static_cast<int>(cache_block), count);
        const T* values = static_cast<const T*>(problem.task.cache.values) + problem.block_begin(first + begin) + c;
#pragma unroll 4
        for (int i = begin; i < end; i++, values += d) {
          const auto value = static_cast<float>(*values);
          for (int j = 0; j < queries; j++) sums[j] = fmaf(shared.e[i * queries + j], value, sums[j]);
        }
      }
    }
    for (int turn = 0; turn < shares; turn++) {  // adds the shares in ascending order
      if (turn > 0) __syncthreads();
      if (share != turn || c >= d) continue;
      for (int j = 0; j < queries; j++) {
        float& sum = state.sums[j * d + c];
        sum = turn == 0 ? sums[j] : sum + sums[j];
      }
    }
  }
  __syncthreads();
}

// Factors of a state and of the part that is added to it. `largest` becomes the larger one.
struct Factors {
  float state, by_part;

  __device__ Factors(float& largest, float of_part) {
    const float larger = fmaxf(largest, of_part);
    state = expf(largest - larger);
    by_part = expf(of_part - larger);
    largest = larger;
  }
  __device__ float merged(float of_state, float of_part) const { return fmaf(of_state, state, of_part * by_part); }
};

// Adds a part to a state of earlier parts.
template <int queries> __device__ void merge(const State& by_part, int64_t d, const State& state) {
  for (int64_t i = threadIdx.x; i < queries * d; i += threads) {
    float largest = state.largest[i / d];
    const Factors factors(largest, by_part.largest[i / d]);
    state.sums[i] = factors.merged(state.sums[i], by_part.sums[i]);
  }
  __syncthreads();
  for (int j = threadIdx.x; j < queries; j += threads) {
    const Factors factors(state.largest[j], by_part.largest[j]);
    state.total[j] = factors.merged(state.total[j], by_part.total[j]);
  }
  __syncthreads();
}

template <int queries> __device__ void load_queries(const Problem& problem, const Shared<queries>& shared) {
  const auto& task = problem.task;
  const int64_t d = problem.d(), begin = problem.row * task.q_stride + problem.first_head * d;
  for (int64_t i = threadIdx.x; i < queries * d; i += threads) {
    const int64_t j = i / d, c = i % d;
    shared.q[c * queries + j] = j < problem.heads ? load(task.q, begin + i, task.store) * task.scale : 0;
  }
  __syncthreads();
}

__device__ void write_out(const Problem& problem, const State& state) {
  const auto& task = problem.task;
  const int64_t d = problem.d(), begin = problem.row * task.out_stride + problem.first_head * d;
  for (int64_t i = threadIdx.x; i < problem.heads * d; i += threads) {
    save(task.out, begin + i, task.store, state.sums[i] / state.total[i / d]);
  }
  __syncthreads();
}

// States of the sequences with one row: (sequences, heads, parts, d + 2).
struct States {
  float* memory;
  int64_t heads, parts, d;

  __device__ float* at(int64_t sequence, int64_t head, int64_t index) const {
    return memory + ((sequence * heads + head) * parts + index) * (d + 2);
  }
};

// Grid: (parts, tiles of query heads, sequences). Of a sequence with one row each block attends to one part and stores
// its state, unless there is only one part. Blocks take the rows of other sequences in turns. Shared memory: see
// Shared.
template <class T, int queries> __global__ void __launch_bounds__(threads)
    attend_kernel(const DecodeAttentionTask task, const States states) {
  extern __shared__ float memory[];
  const int64_t d = task.cache.d, group = task.heads / task.cache.kv_heads, tiles = (group + queries - 1) / queries;
  const int64_t s = blockIdx.z, kv_head = blockIdx.y / tiles, first = blockIdx.y % tiles * queries;
  const int64_t begin = task.rows.offsets[s], rows = task.rows.offsets[s + 1] - begin;
  const Shared<queries> shared(memory, d);
  Problem problem = {task,
                     task.rows.blocks + s * task.rows.table_columns,
                     kv_head,
                     kv_head * group + first,
                     static_cast<int>(min(group - first, int64_t{queries})),
                     begin,
                     task.rows.first[s]};
  if (rows == 1 && problem.parts() > 1) {
    if (blockIdx.x >= problem.parts()) return;
    load_queries(problem, shared);
    attend<T>(problem, blockIdx.x, shared, shared.state);
    for (int64_t i = threadIdx.x; i < problem.heads * (d + 2); i += threads) {
      const int64_t j = i / (d + 2), c = i % (d + 2);
      const State& state = shared.state;
      states.at(s, problem.first_head + j, blockIdx.x)[c] = c < d    ? state.sums[j * d + c]
                                                            : c == d ? state.largest[j]
                                                                     : state.total[j];
    }
    return;
  }
  for (int64_t row = blockIdx.x; row < rows; row += gridDim.x) {
    problem.row = begin + row;
    problem.position = task.rows.first[s] + row;
    load_queries(problem, shared);
    attend<T>(problem, 0, shared, shared.state);
    for (int64_t index = 1; index < problem.parts(); index++) {
      attend<T>(problem, index, shared, shared.by_part);
      merge<queries>(shared.by_part, d, shared.state);
    }
    write_out(problem, shared.state);
  }
}

// Combines the parts of sequences with one row in ascending order. Grid: (heads, sequences).
__global__ void __launch_bounds__(threads) combine_kernel(const DecodeAttentionTask task, const States states) {
  const int64_t head = blockIdx.x, s = blockIdx.y, d = states.d, row = task.rows.offsets[s];
  const int64_t parts = task.rows.first[s] / part + 1;
  if (task.rows.offsets[s + 1] - row != 1 || parts == 1) return;
  for (int64_t c = threadIdx.x; c < d; c += threads) {
    const float* state = states.at(s, head, 0);
    float sum = state[c], largest = state[d], total = state[d + 1];
    for (int64_t index = 1; index < parts; index++) {
      state += d + 2;
      const Factors factors(largest, state[d]);
      sum = factors.merged(sum, state[c]);
      total = factors.merged(total, state[d + 1]);
    }
    save(task.out, row * task.out_stride + head * d + c, task.store, sum / total);
  }
}

template <class T, int queries> void launch(Context& context, const DecodeAttentionTask& task, const States& states) {
  const int64_t group = task.heads / task.cache.kv_heads, tiles = (group + queries - 1) / queries;
  const size_t bytes = Shared<queries>::floats(task.cache.d) * sizeof(float);
  check(cudaFuncSetAttribute(attend_kernel<T, queries>, cudaFuncAttributeMaxDynamicSharedMemorySize,
                             static_cast<int>(bytes)),
        "decode_attention: shared memory");
  const dim3 grid(states.parts, task.cache.kv_heads * tiles, task.rows.sequences);
  attend_kernel<T, queries><<<grid, threads, bytes, gpu(context).stream()>>>(task, states);
  check_launch("decode_attention");
}

template <class T> void launch(Context& context, const DecodeAttentionTask& task, const States& states) {
  const int64_t group = task.heads / task.cache.kv_heads;
  const auto run = group == 1   ? launch<T, 1>
                   : group == 2 ? launch<T, 2>
                   : group <= 4 ? launch<T, 4>
                   : group <= 8 ? launch<T, 8>
                                : launch<T, most_queries>;
  run(context, task, states);
}

}  // namespace

void append_to_cache_gpu(Context& context, const CacheTask& task) {
  constexpr int64_t most_blocks = 64;  // per sequence
  const auto kernel = task.cache.store == Store::fp32 ? append_kernel<float> : append_kernel<Bf16>;
  const dim3 grid(std::clamp<int64_t>(task.rows.table_columns, 1, most_blocks), task.rows.sequences);
  kernel<<<grid, threads, 0, gpu(context).stream()>>>(task);
  check_launch("append_to_cache");
}

void decode_attention_gpu(Context& context, const DecodeAttentionTask& task) {
  const int64_t d = task.cache.d, positions = task.rows.table_columns * cache_block;
  States states = {nullptr, task.heads, (positions + part - 1) / part, d};
  if (states.parts == 0) return;
  if (states.parts > 1) {
    const int64_t size = task.rows.sequences * task.heads * states.parts * (d + 2);
    states.memory = static_cast<float*>(context.scratch(size * sizeof(float)));
  }
  task.cache.store == Store::fp32 ? launch<float>(context, task, states) : launch<Bf16>(context, task, states);
  if (states.parts == 1) return;
  const dim3 grid(task.heads, task.rows.sequences);
  combine_kernel<<<grid, threads, 0, gpu(context).stream()>>>(task, states);
  check_launch("decode_attention: combination");
}

}  // namespace sartor::cuda
