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

// Queries of a sequence and head that are processed together.
struct Piece {
  DecodeQueries queries;
  int64_t parts;        // parts of the keys that the last query sees
  int64_t first_state;  // number of states of earlier pieces, one per query and part
};

// The pieces of a sequence, for head 0.
void add_pieces(const DecodeAttentionTask& task, int64_t sequence, std::vector<Piece>& pieces) {
  const auto& rows = task.rows;
  const int64_t group = task.heads / task.cache.kv_heads, position = rows.first[sequence];
  const int64_t queries = (rows.offsets[sequence + 1] - rows.offsets[sequence]) * group;
  for (int64_t first = 0; first < queries; first += decode_queries) {
    const int64_t count = std::min(decode_queries, queries - first), last = position + (first + count - 1) / group;
    const DecodeQueries some = {.task = &task,
                                .kv_head = 0,
                                .blocks = rows.blocks + sequence * rows.table_columns,
                                .first_row = rows.offsets[sequence],
                                .first = position,
                                .first_query = first,
                                .count = count};
    pieces.push_back({some, last / decode_part + 1, 0});
  }
}

// All pieces. Those with the same first block, of a long chunk or of sequences with a common prefix, come together for
// each head, so that its keys and values stay in the cache of the CPU.
std::vector<Piece> pieces_of(const DecodeAttentionTask& task) {
  std::vector<Piece> of_head, all;
  for (int64_t s = 0; s < task.rows.sequences; s++) add_pieces(task, s, of_head);
  int64_t states = 0;
  for (auto begin = of_head.begin(); begin != of_head.end();) {
    const auto end = std::find_if(
        begin, of_head.end(), [&](const Piece& piece) { return piece.queries.blocks[0] != begin->queries.blocks[0]; });
    for (int64_t head = 0; head < task.cache.kv_heads; head++) {
      for (auto piece = begin; piece != end; ++piece) {
        all.push_back(*piece);
        all.back().queries.kv_head = head;
        all.back().first_state = states;
        states += piece->queries.count * piece->parts;
      }
    }
    begin = end;
  }
  return all;
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
      : kernels_(kernels_of(context)), threads_(cpu(context).threads), d_(task.cache.d), pieces_(pieces_of(task)) {
    for (const auto& piece : pieces_) most_parts_ = std::max(most_parts_, piece.parts);
    splits_ = threads_ > 1 && std::ssize(pieces_) < 2 * threads_ && most_parts_ > 1;
    const auto& last = pieces_.back();
    const int64_t states = splits_ ? last.first_state + last.queries.count * last.parts : 0;
    const int64_t floats = threads_ * Memory::floats(d_) + states * decode_state_floats(d_);
    memory_ = static_cast<float*>(context.scratch(floats * sizeof(float)));
  }

  void run() const {
    const int64_t pieces = std::ssize(pieces_);
    if (!splits_) {
      const int64_t grain = std::max<int64_t>(pieces / (8 * threads_), 1);  // neighbours share keys, or request them
      parallel_for(threads_, pieces, grain, [&](int64_t begin, int64_t end, int thread) {
        for (int64_t i = begin; i < end; i++) attend(pieces_[i], thread);
      });
      return;
    }
    parallel_for(threads_, pieces * most_parts_, 1, [&](int64_t i, int64_t, int thread) {
      attend_part(pieces_[i / most_parts_], i % most_parts_, thread);
    });
    parallel_for(threads_, pieces, 1, [&](int64_t i, int64_t, int) { combine(pieces_[i]); });
  }

 private:
  Memory memory(int thread) const { return {memory_ + thread * Memory::floats(d_), d_}; }
  DecodeState state(const Piece& of, int64_t part) const {
    const int64_t earlier = of.first_state + part * of.queries.count;
    return {memory_ + threads_ * Memory::floats(d_) + earlier * decode_state_floats(d_)};
  }

  void attend(const Piece& of, int thread) const {
    const auto at = memory(thread);
    kernels_.load(of.queries, at.q);
    kernels_.attend(of.queries, 0, at.q, at.scores, {at.state});
    for (int64_t part = 1; part < of.parts; part++) {
      kernels_.attend(of.queries, part, at.q, at.scores, {at.by_part});
      kernels_.merge(of.queries, part, {at.by_part}, {at.state});
    }
    kernels_.finish(of.queries, {at.state});
  }
  void attend_part(const Piece& of, int64_t part, int thread) const {
    if (part >= of.parts) return;
    const auto at = memory(thread);
    kernels_.load(of.queries, at.q);
    kernels_.attend(of.queries, part, at.q, at.scores, state(of, part));
  }
  void combine(const Piece& of) const {
    for (int64_t part = 1; part < of.parts; part++) kernels_.merge(of.queries, part, state(of, part), state(of, 0));
    kernels_.finish(of.queries, state(of, 0));
  }

  const DecodeAttentionKernels& kernels_;
  const int threads_;
  const int64_t d_;
  const std::vector<Piece> pieces_;
  int64_t most_parts_ = 0;
  bool splits_;  // whether threads divide the parts of a piece
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
