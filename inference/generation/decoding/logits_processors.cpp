#include "generation/decoding/logits_processors.h"

#include <algorithm>

namespace sartor::inference {
LogitsProcessors::LogitsProcessors(cuda::Context& context, const DecodingConfig& config, const TokenSequences& banned,
                                   std::span<const int32_t> end_ids)
    : context_(context),
      params_{.repetition = static_cast<float>(config.repetition_penalty),
              .presence = static_cast<float>(config.presence_penalty),
              .frequency = static_cast<float>(config.frequency_penalty),
              .no_repeat_ngram = static_cast<int32_t>(config.no_repeat_ngram_size),
              .min_new_tokens = static_cast<int32_t>(config.min_new_tokens)},
      banned_offsets_(context, banned.offsets),
      banned_ids_(context, banned.ids),
      end_ids_(context, end_ids),
      any_(cuda::changes_logits(params_, {.count = banned_offsets_.size() - 1}, end_ids_.size())) {}

std::span<int32_t> LogitsProcessors::collect(std::span<const History> histories) {
  if (!any_) return {};
  const int64_t rows = std::ssize(histories);
  stride_ = 1;
  for (const auto& history : histories) stride_ = std::max(stride_, std::ssize(history.ids) + (history.last >= 0));
  const auto size = static_cast<size_t>(rows * (stride_ + 3));
  host_.resize(std::max(host_.size(), size));
  int32_t* lengths = host_.data() + rows * stride_;
  for (int64_t r = 0; r < rows; r++) {
    const auto& [ids, prompt, last] = histories[r];
    std::ranges::copy(ids, host_.data() + r * stride_);
    lengths[r] = static_cast<int32_t>(ids.size());
    lengths[rows + r] = static_cast<int32_t>(prompt);
    lengths[2 * rows + r] = last;
  }
  return std::span(host_).first(size);
}

cuda::Rows<const float> LogitsProcessors::apply(cuda::Rows<const float> logits, int32_t* collected,
                                                const int32_t* last_ids) {
  if (!any_ || logits.rows == 0) return logits;
  const int64_t rows = logits.rows, size = rows * logits.columns;
  if (processed_.size() < size) processed_ = {context_, std::max(size, 2 * processed_.size())};
  int32_t* lengths = collected + rows * stride_;
  const cuda::PenaltyTask task{
      .logits = logits,
      .history = {.ids = collected, .stride = stride_, .lengths = lengths, .prompts = lengths + rows},
      .last = {.ids = last_ids, .slots = last_ids ? lengths + 2 * rows : nullptr},
      .params = params_,
      .banned = {banned_offsets_.size() - 1, banned_offsets_.data(), banned_ids_.data()},
      .end_ids = end_ids_.data(),
      .ends = end_ids_.size(),
      .processed = {processed_.data(), rows, logits.columns}};
  cuda::penalize(context_, task);
  return task.processed;
}

}  // namespace sartor::inference
