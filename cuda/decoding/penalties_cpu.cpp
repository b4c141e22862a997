#include "decoding/penalties_cpu.h"

#include <algorithm>
#include <limits>
#include <span>

#include "core/cpu_backend.h"
#include "core/parallel_for.h"
#include "decoding/rules.h"

namespace sartor::cuda {
namespace {

constexpr float none = -std::numeric_limits<float>::infinity();

// One row with its history.
struct Row {
  const PenaltyTask& task;
  const float* logits;
  std::span<const int32_t> prompt, generated, tokens;  // tokens: both
  float* processed;

  Row(const PenaltyTask& task, int64_t row)
      : task(task), logits(task.logits.row(row)), processed(task.processed.row(row)) {
    const TokenHistory& history = task.history;
    tokens = {history.ids + row * history.stride, static_cast<size_t>(history.lengths[row])};
    prompt = tokens.first(history.prompts[row]);
    generated = tokens.subspan(prompt.size());
  }

  bool known(int32_t id) const { return id >= 0 && id < task.logits.columns; }
  void forbid(int32_t id) const {
    if (known(id)) processed[id] = none;
  }
};

void append_last(const PenaltyTask& task, int64_t row) {
  const auto& history = task.history;
  const auto& last = task.last;
  if (!last.slots || last.slots[row] < 0) return;
  history.ids[row * history.stride + history.lengths[row]++] = last.ids[last.slots[row]];
}

// `counts` (V) is scratch memory of any content.
void penalize_repetitions(const Row& row, int32_t* counts) {
  const auto& [repetition, presence, frequency, no_repeat_ngram, min_new_tokens] = row.task.params;
  const auto penalize = [&](int32_t id, int32_t count) {
    if (row.known(id)) row.processed[id] = penalized(row.logits[id], count, repetition, frequency, presence);
  };
  for (const int32_t id : row.prompt) penalize(id, 0);
  if (presence == 0 && frequency == 0) {
    for (const int32_t id : row.generated) penalize(id, 0);
    return;
  }
  for (const int32_t id : row.generated) {
    if (row.known(id)) counts[id] = 0;
  }
  for (const int32_t id : row.generated) {
    if (row.known(id)) counts[id]++;
  }
  for (const int32_t id : row.generated) {
    if (row.known(id)) penalize(id, counts[id]);
  }
}

// Forbids the tokens that followed the last n - 1 tokens wherever these occurred before.
void forbid_repeated_ngrams(const Row& row) {
  const size_t n = row.task.params.no_repeat_ngram, length = row.tokens.size();
  if (n == 0 || length + 1 < n) return;
  const auto begun = row.tokens.last(n - 1);
  for (size_t first = 0; first + n <= length; first++) {
    if (std::ranges::equal(row.tokens.subspan(first, n - 1), begun)) row.forbid(row.tokens[first + n - 1]);
  }
}

void forbid_banned(const Row& row) {
  const BannedTokens& banned = row.task.banned;
  for (int64_t s = 0; s < banned.count; s++) {
    const std::span sequence(banned.ids + banned.offsets[s], banned.ids + banned.offsets[s + 1]);
    if (sequence.empty() || sequence.size() - 1 > row.tokens.size()) continue;
    const auto begun = sequence.first(sequence.size() - 1);
    if (std::ranges::equal(row.tokens.last(begun.size()), begun)) row.forbid(sequence.back());
  }
}

}  // namespace

void penalize_cpu(Context& context, const PenaltyTask& task) {
  const auto& backend = cpu(context);
  const int64_t columns = task.logits.columns, threads = std::min<int64_t>(backend.threads, task.logits.rows);
  const bool counted = task.params.presence != 0 || task.params.frequency != 0;
  auto* scratch = counted ? static_cast<int32_t*>(context.scratch(threads * columns * sizeof(int32_t))) : nullptr;
  parallel_for(backend.threads, task.logits.rows, 1, [&](int64_t index, int64_t, int thread) {
    append_last(task, index);
    const Row row(task, index);
    std::copy_n(row.logits, columns, row.processed);
    penalize_repetitions(row, scratch + (counted ? thread * columns : 0));
    forbid_repeated_ngrams(row);
    forbid_banned(row);
    if (std::ssize(row.generated) < task.params.min_new_tokens) {
      for (int64_t i = 0; i < task.ends; i++) row.forbid(task.end_ids[i]);
    }
  });
}

}  // namespace sartor::cuda
