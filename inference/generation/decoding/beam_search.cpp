#include "generation/decoding/beam_search.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <optional>
#include <tuple>

namespace sartor::inference {
namespace {

// Of equal continuations, that of the better beam comes first, then the lower id.
bool is_better(const BeamSearch::Candidate& a, const BeamSearch::Candidate& b) {
  return std::tuple(-a.score, a.parent, a.token) < std::tuple(-b.score, b.parent, b.token);
}

float score_of(float beam, float token) {
  const float sum = beam + token;
  return std::isnan(sum) ? -std::numeric_limits<float>::infinity() : sum;
}

}  // namespace

void BeamSearch::restart() {
  beams_.assign(1, {});
  texts_.clear();
  if (!rules_.stops->empty()) texts_.emplace_back(*rules_.tokenizer, *rules_.stops);
  finished_.clear();
}

std::span<const BeamSearch::Continuation> BeamSearch::advance(cuda::Rows<const float> log_probabilities,
                                                              cuda::Rows<const float> processed,
                                                              std::span<const Sequence> sequences, int64_t prompt) {
  find_candidates(processed);
  for (auto& [parent, token, log_probability, after, score] : candidates_) {
    log_probability = log_probabilities.row(parent)[token];
  }
  return continue_with_candidates(sequences, prompt);
}

std::span<const BeamSearch::Continuation> BeamSearch::advance(std::span<const Candidate> best,
                                                              std::span<const Sequence> sequences, int64_t prompt) {
  candidates_.assign(best.begin(), best.end());
  for (auto& candidate : candidates_) candidate.score = score_of(beams_[candidate.parent].score, candidate.processed);
  std::ranges::sort(candidates_, is_better);
  candidates_.resize(std::min(candidates_.size(), static_cast<size_t>(rules_.candidates())));
  return continue_with_candidates(sequences, prompt);
}

std::span<const BeamSearch::Continuation> BeamSearch::continue_with_candidates(std::span<const Sequence> sequences,
                                                                               int64_t prompt) {
  const int64_t beams = rules_.config->num_beams;
  const int64_t length = std::ssize(sequences.front().ids) - prompt + 1;
  const auto penalty = static_cast<float>(std::pow(static_cast<double>(length), rules_.config->length_penalty));
  std::vector<Beam> next;
  std::vector<TextBuilder> texts;
  continuations_.clear();
  for (int64_t i = 0; i < std::ssize(candidates_) && std::ssize(next) < beams; i++) {
    const auto& [parent, token, own, processed, score] = candidates_[i];
    const double log_probability = beams_[parent].log_probability + own;
    std::optional<TextBuilder> text;
    if (!texts_.empty()) text.emplace(texts_[parent]);
    std::optional<EndReason> end;
    if (std::ranges::find(rules_.end_ids, token) != rules_.end_ids.end()) {
      end = EndReason::end_token;
    } else if (text && text->add(token)) {
      end = EndReason::stop_string;
    } else if (length == rules_.config->max_new_tokens) {
      end = EndReason::length;
    }
    if (!end) {
      next.push_back({score, log_probability});
      if (text) texts.push_back(std::move(*text));
      continuations_.push_back({parent, token});
    } else if (i < beams) {  // texts that end further down were only looked at to have enough that go on
      const auto& ids = sequences[parent].ids;
      Hypothesis hypothesis{{ids.begin() + prompt, ids.end()}, score / penalty, log_probability, *end};
      hypothesis.ids.push_back(token);
      add_finished(std::move(hypothesis));
    }
  }
  beams_ = std::move(next);
  texts_.swap(texts);
  if (is_over(length)) continuations_.clear();
  return continuations_;
}

void BeamSearch::find_candidates(cuda::Rows<const float> processed) {
  const auto size = static_cast<size_t>(rules_.candidates());
  candidates_.clear();
  for (int32_t parent = 0; parent < std::ssize(beams_); parent++) {
    const float* row = processed.row(parent);
    const float before = beams_[parent].score;
    for (int32_t token = 0; token < processed.columns; token++) {
      const float score = score_of(before, row[token]);
      // A later one is not better at the same score.
      if (candidates_.size() == size && score <= candidates_.front().score) continue;
      if (candidates_.size() == size) {
        std::ranges::pop_heap(candidates_, is_better);
        candidates_.pop_back();
      }
      candidates_.push_back({.parent = parent, .token = token, .score = score});
      std::ranges::push_heap(candidates_, is_better);
    }
  }
  std::ranges::sort(candidates_, is_better);
}

void BeamSearch::add_finished(Hypothesis hypothesis) {
  const auto place = std::ranges::upper_bound(finished_, hypothesis.score, std::greater(), &Hypothesis::score);
  finished_.insert(place, std::move(hypothesis));
  if (std::ssize(finished_) > rules_.config->num_beams) finished_.pop_back();
}

// Whether no beam that goes on is expected to become better than the worst complete text.
bool BeamSearch::is_over(int64_t length) const {
  const auto& config = *rules_.config;
  if (beams_.empty()) return true;
  if (std::ssize(finished_) < config.num_beams) return false;
  if (config.early_stopping == EarlyStopping::yes) return true;
  const bool may_grow = config.early_stopping == EarlyStopping::never && config.length_penalty > 0;
  const auto best_length = static_cast<double>(may_grow ? config.max_new_tokens : length);
  return beams_.front().score / static_cast<float>(std::pow(best_length, config.length_penalty)) <=
         finished_.back().score;
}

}  // namespace sartor::inference
