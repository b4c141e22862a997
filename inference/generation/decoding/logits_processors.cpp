#include "generation/decoding/logits_processors.h"

#include <algorithm>

namespace sartor::inference {
namespace {

template <class T> cuda::DeviceBuffer<T>& grown(cuda::Context& context, cuda::DeviceBuffer<T>& buffer, int64_t size) {
  if (buffer.size() < size) buffer = cuda::DeviceBuffer<T>(context, std::max(size, 2 * buffer.size()));
  return buffer;
}

}  // namespace

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

cuda::Rows<const float> LogitsProcessors::apply(cuda::Rows<const float> logits, std::span<const History> histories) {
  if (!any_ || logits.rows == 0) return logits;
  grown(context_, processed_, logits.rows * logits.columns);
  const cuda::PenaltyTask task{.logits = logits,
                               .history = store(histories.first(logits.rows)),
                               .params = params_,
                               .banned = {banned_offsets_.size() - 1, banned_offsets_.data(), banned_ids_.data()},
                               .end_ids = end_ids_.data(),
                               .ends = end_ids_.size(),
                               .processed = {processed_.data(), logits.rows, logits.columns}};
  cuda::penalize(context_, task);
  return task.processed;
}

cuda::TokenHistory LogitsProcessors::store(std::span<const History> histories) {
  const int64_t rows = std::ssize(histories);
  int64_t stride = 1;
  for (const auto& history : histories) stride = std::max(stride, std::ssize(history.ids));
  host_.resize(std::max(host_.size(), static_cast<size_t>(rows * (stride + 2))));
  int32_t* lengths = host_.data() + rows * stride;
  for (int64_t r = 0; r < rows; r++) {
    std::ranges::copy(histories[r].ids, host_.data() + r * stride);
    lengths[r] = static_cast<int32_t>(histories[r].ids.size());
    lengths[rows + r] = static_cast<int32_t>(histories[r].prompt);
  }
  int32_t* ids = host_.data();
  if (context_.is_gpu()) {
    grown(context_, stored_, std::ssize(host_)).write(std::span<const int32_t>(host_).first(rows * (stride + 2)));
    ids = stored_.data();
  }
  return {.ids = ids, .stride = stride, .lengths = ids + rows * stride, .prompts = ids + rows * (stride + 1)};
}

}  // namespace sartor::inference
