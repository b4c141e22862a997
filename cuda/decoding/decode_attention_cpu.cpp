#include "decoding/decode_attention_cpu.h"

#include <algorithm>
#include <vector>

#include "core/cpu_backend.h"
#include "core/parallel_for.h"
#include "decoding/decode_attention_kernels.h"

namespace sartor::cuda {
namespace {

const DecodeAttentionKernels& kernels_of(Context& context) {
  return best_of(cpu(context).isa, v3::decode_attention_kernels, v4::decode_attention_kernels);
}

// Queries that are processed together, for each key-value head.
struct Chunk {
  DecodeQueries queries;  // of head 0
  int64_t parts;          // parts of the keys that the last query sees
  int64_t first_state;    // number of states of earlier chunks, one per query, part and head
};

std::vector<Chunk> chunks_of(const DecodeAttentionTask& task) {
  const auto& rows = task.rows;
  const int64_t group = task.heads / task.cache.kv_heads;
  std::vector<Chunk> chunks;
  int64_t states = 0;
  for (int64_t s = 0; s < rows.sequences; s++) {
    const int64_t queries = (rows.offsets[s + 1] - rows.offsets[s]) * group;
    for (int64_t first = 0; first < queries; first += decode_queries) {
      const int64_t count = std::min(decode_queries, queries - first);
      const int64_t last = rows.first[s] + (first + count - 1) / group;  // position
      const DecodeQueries some = {&task, 0,    rows.blocks + s * rows.table_columns, rows.offsets[s], rows.first[s],
                                  first, count};
      chunks.push_back({some, last / decode_part + 1, states});
      states += count * chunks.back().parts * task.cache.kv_heads;
    }
  }
  return chunks;
}

// Memory of one thread, and of the states of all parts if they are computed separately.
struct Memory {
  float *q, *scores, *state, *by_part;

  Memory(float* from, int64_t d) {
    q = from;
    scores = q + decode_queries * decode_query_floats(d);
    state = scores + decode_score_floats;
    by_part = state + decode_queries * decode_state_floats(d);
  }
  static int64_t floats(int64_t d) {
    return decode_queries * (decode_query_floats(d) + 2 * decode_state_floats(d)) + decode_score_floats;
  }
};

class Attention {
 public:
  Attention(Context& context, const DecodeAttentionTask& task)
      : task_(task), kernels_(kernels_of(context)), threads_(cpu(context).threads), chunks_(chunks_of(task)) {
    const int64_t tasks = std::ssize(chunks_) * task.cache.kv_heads;
    for (const auto& chunk : chunks_) most_parts_ = std::max(most_parts_, chunk.parts);
    splits_ = tasks < 2 * threads_ && most_parts_ > 1 && threads_ > 1;
    const auto& last = chunks_.back();
    const int64_t states = splits_ ? last.first_state + last.queries.count * last.parts * task.cache.kv_heads : 0;
    const int64_t floats = threads_ * Memory::floats(task.cache.d) + states * decode_state_floats(task.cache.d);
    memory_ = static_cast<float*>(context.scratch(floats * sizeof(float)));
  }

  void run() const {
    const int64_t tasks = std::ssize(chunks_) * task_.cache.kv_heads;
    if (!splits_) {
      // a thread takes several heads, as the keys of the next one have been requested
      const int64_t grain = std::clamp<int64_t>(tasks / (8 * threads_), 1, task_.cache.kv_heads);
      parallel_for(threads_, tasks, grain, [&](int64_t begin, int64_t end, int thread) {
        for (int64_t i = begin; i < end; i++) attend(i, thread);
      });
      return;
    }
    parallel_for(threads_, tasks * most_parts_, 1,
                 [&](int64_t i, int64_t, int thread) { attend_part(i / most_parts_, i % most_parts_, thread); });
    parallel_for(threads_, tasks, 1, [&](int64_t i, int64_t, int) { combine(i); });
  }

 private:
  const Chunk& chunk(int64_t i) const { return chunks_[i / task_.cache.kv_heads]; }
  DecodeQueries queries(int64_t i) const {
    auto some = chunk(i).queries;
    some.kv_head = i % task_.cache.kv_heads;
    return some;
  }
  Memory memory(int thread) const { return {memory_ + thread * Memory::floats(task_.cache.d), task_.cache.d}; }
  DecodeState state(int64_t i, int64_t part) const {
    const auto& of = chunk(i);
    const int64_t earlier = (i % task_.cache.kv_heads * of.parts + part) * of.queries.count;
    return {memory_ + threads_ * Memory::floats(task_.cache.d) +
            (of.first_state + earlier) * decode_state_floats(task_.cache.d)};
  }

  void attend(int64_t i, int thread) const {
    const auto some = queries(i);
    const auto at = memory(thread);
    kernels_.load(some, at.q);
    kernels_.attend(some, 0, at.q, at.scores, {at.state});
    for (int64_t part = 1; part < chunk(i).parts; part++) {
      kernels_.attend(some, part, at.q, at.scores, {at.by_part});
      kernels_.merge(some, part, {at.by_part}, {at.state});
    }
    kernels_.finish(some, {at.state});
  }
  void attend_part(int64_t i, int64_t part, int thread) const {
    if (part >= chunk(i).parts) return;
    const auto some = queries(i);
    const auto at = memory(thread);
    kernels_.load(some, at.q);
    kernels_.attend(some, part, at.q, at.scores, state(i, part));
  }
  void combine(int64_t i) const {
    for (int64_t part = 1; part < chunk(i).parts; part++) {
      kernels_.merge(queries(i), part, state(i, part), state(i, 0));
    }
    kernels_.finish(queries(i), state(i, 0));
  }

  const DecodeAttentionTask& task_;
  const DecodeAttentionKernels& kernels_;
  const int threads_;
  const std::vector<Chunk> chunks_;
  int64_t most_parts_ = 0;
  bool splits_;  // whether threads divide the parts of a chunk
  float* memory_;
};

}  // namespace

void append_to_cache_cpu(Context& context, const CacheTask& task) {
  constexpr int64_t grain = 4;  // rows
  const auto& kernels = kernels_of(context);
  const auto& rows = task.rows;
  parallel_for(cpu(context).threads, rows.offsets[rows.sequences], grain, [&](int64_t begin, int64_t end, int) {
    int64_t s = std::upper_bound(rows.offsets, rows.offsets + rows.sequences + 1, begin) - rows.offsets - 1;
    for (int64_t row = begin; row < end; row++) {
      while (row >= rows.offsets[s + 1]) s++;
      kernels.append(task, row, rows.blocks + s * rows.table_columns, rows.first[s] + row - rows.offsets[s]);
    }
  });
}

void decode_attention_cpu(Context& context, const DecodeAttentionTask& task) {
  if (task.rows.offsets[task.rows.sequences] > 0) Attention(context, task).run();
}

}  // namespace sartor::cuda
