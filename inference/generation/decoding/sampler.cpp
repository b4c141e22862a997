#include "generation/decoding/sampler.h"

#include <array>
#include <cstring>

namespace sartor::inference {

constexpr int64_t result_words = 3;  // of a choice
constexpr int64_t word_bytes = 4;

Sampler::Sampler(gpt::Decoder& decoder, const DecodingConfig& config, const TokenSequences& banned,
                 std::span<const int32_t> end_ids, int64_t max_choices)
    : context_(decoder.context()),
      accelerator_(decoder.accelerator()),
      processors_(context_, config, banned, end_ids),
      params_{.greedy = !config.do_sample,
              .temperature = static_cast<float>(config.temperature),
              .top_k = static_cast<int32_t>(config.top_k),
              .top_p = static_cast<float>(config.top_p),
              .min_p = static_cast<float>(config.min_p),
              .seed = static_cast<uint64_t>(config.seed)},
      words_(max_choices * result_words * word_bytes),
      tokens_(max_choices) {
  for (auto& results : results_) results.words = {context_, std::ssize(words_)};
}

void Sampler::choose(cuda::Rows<const float> logits, std::span<const Choice> choices) {
  histories_.clear();
  draws_.clear();
  for (const auto& choice : choices) {
    histories_.push_back(choice.history);
    if (!params_.greedy) draws_.push_back(choice.draw);
  }
  const auto collected = processors_.collect(std::span(histories_).first(logits.rows));
  std::array<void*, 2> arrays = {draws_.data(), collected.data()};
  gpt::Accelerator::Sent sent;
  if (accelerator_ && !(draws_.empty() && collected.empty())) {
    sent = accelerator_->send(std::array{std::as_bytes(std::span(draws_)), std::as_bytes(collected)});
    std::ranges::copy(sent.arrays, arrays.begin());
  }
  const auto processed = processors_.apply(logits, static_cast<int32_t*>(arrays[1]), last_ids());
  latest_ = 1 - latest_;
  auto& results = results_[latest_];
  results.count = std::ssize(choices);
  // One call for each run of consecutive rows of logits.
  for (size_t first = 0, end; first < choices.size(); first = end) {
    for (end = first + 1; end < choices.size(); end++) {
      if (choices[end].logits_row != choices[end - 1].logits_row + 1) break;
    }
    choose_run(logits, processed, static_cast<const cuda::Draw*>(arrays[0]), choices.subspan(first, end - first),
               static_cast<int64_t>(first));
  }
  if (accelerator_) {
    results.late = accelerator_->fetch(results.words.data(), results.count * result_words * word_bytes);
  }
}

void Sampler::choose_run(cuda::Rows<const float> logits, cuda::Rows<const float> processed, const cuda::Draw* draws,
                         std::span<const Choice> choices, int64_t first) {
  const auto rows_of = [&](cuda::Rows<const float> all) {
    return cuda::Rows<const float>{all.row(choices.front().logits_row), std::ssize(choices), all.columns};
  };
  const auto& results = results_[latest_];
  cuda::sample(context_, {.logits = rows_of(processed),
                          .model_logits = rows_of(logits),
                          .draws = params_.greedy ? nullptr : draws + first,
                          .params = params_,
                          .ids = results.ids() + first,
                          .log_probabilities = results.array<float>(1) + first,
                          .sampled_log_probabilities = results.array<float>(2) + first});
}

std::span<const Sampler::Token> Sampler::read(Which which) {
  const auto& results = results_[which == Which::latest ? latest_ : 1 - latest_];
  const auto words = words_of(results);
  const auto take = [&](auto& value, int64_t number) {
    std::memcpy(&value, words.data() + number * word_bytes, word_bytes);
  };
  for (int64_t i = 0; i < results.count; i++) {
    take(tokens_[i].id, i);
    take(tokens_[i].log_probability, results.count + i);
    take(tokens_[i].sampled_log_probability, 2 * results.count + i);
  }
  return std::span(tokens_).first(results.count);
}

std::span<const std::byte> Sampler::words_of(const Results& results) {
  if (results.late) return results.late->take();
  const auto words = std::span(words_).first(results.count * result_words * word_bytes);
  results.words.read(words);
  return words;
}

}  // namespace sartor::inference
