#include "generation/decoding/sampler.h"

namespace sartor::inference {

Sampler::Sampler(cuda::Context& context, const DecodingConfig& config, const TokenSequences& banned,
                 std::span<const int32_t> end_ids, int64_t max_choices)
    : context_(context),
      processors_(context, config, banned, end_ids),
      params_{.greedy = !config.do_sample,
              .temperature = static_cast<float>(config.temperature),
              .top_k = static_cast<int32_t>(config.top_k),
              .top_p = static_cast<float>(config.top_p),
              .min_p = static_cast<float>(config.min_p),
              .seed = static_cast<uint64_t>(config.seed)},
      stored_draws_(context, max_choices),
      ids_(max_choices),
      log_probabilities_(max_choices),
      sampled_log_probabilities_(max_choices),
      tokens_(max_choices) {
  for (auto& results : results_) {
    results = {.ids = {context, max_choices},
               .log_probabilities = {context, max_choices},
               .sampled_log_probabilities = {context, max_choices}};
  }
}

void Sampler::choose(cuda::Rows<const float> logits, std::span<const Choice> choices) {
  histories_.clear();
  draws_.clear();
  for (const auto& choice : choices) {
    histories_.push_back(choice.history);
    draws_.push_back(choice.draw);
  }
  const cuda::Draw* draws = draws_.data();
  if (context_.is_gpu() && !params_.greedy) {
    stored_draws_.write(draws_);
    draws = stored_draws_.data();
  }
  const auto processed = processors_.apply(logits, histories_);
  latest_ = 1 - latest_;
  // One call for each run of consecutive rows of logits.
  for (size_t first = 0, end; first < choices.size(); first = end) {
    for (end = first + 1; end < choices.size(); end++) {
      if (choices[end].logits_row != choices[end - 1].logits_row + 1) break;
    }
    choose_run(logits, processed, draws, choices.subspan(first, end - first), static_cast<int64_t>(first));
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
                          .draws = draws + first,
                          .params = params_,
                          .ids = results.ids.data() + first,
                          .log_probabilities = results.log_probabilities.data() + first,
                          .sampled_log_probabilities = results.sampled_log_probabilities.data() + first});
}

std::span<const Sampler::Token> Sampler::read(Which which, int64_t choices) {
  const auto& results = results_[which == Which::latest ? latest_ : 1 - latest_];
  const auto first = [&](auto& values) { return std::span(values).first(choices); };
  results.ids.read(first(ids_));
  results.log_probabilities.read(first(log_probabilities_));
  results.sampled_log_probabilities.read(first(sampled_log_probabilities_));
  for (int64_t i = 0; i < choices; i++) tokens_[i] = {ids_[i], log_probabilities_[i], sampled_log_probabilities_[i]};
  return first(tokens_);
}

}  // namespace sartor::inference
