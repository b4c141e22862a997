#include "generation/decoding/sampling_strategy.h"

#include <algorithm>
#include <utility>

namespace sartor::inference {

SamplingStrategy::SamplingStrategy(const WriterParts& parts, const TokenSequences& banned, const WriterLimits& limits)
    : parts_(parts),
      sampler_(parts.decoder, parts.config, banned, parts.end_ids, limits.max_sequences),
      lag_(std::min<int64_t>(limits.lag.value_or(parts.decoder.accelerator() != nullptr), 1)) {}

void SamplingStrategy::advance(cuda::Rows<float> logits) {
  choices_.clear();
  chosen_for_.clear();
  choose_next_tokens();
  begin_variants();
  if (!choices_.empty()) {
    sampler_.choose(logits, choices_);
    for (const auto& request : chosen_for_) request->sequences.front().unknown++;
    unread_.push_back(chosen_for_);
  }
  if (std::ssize(unread_) > (choices_.empty() ? 0 : lag_)) settle();
}

void SamplingStrategy::choose_next_tokens() {
  for (const auto& item : parts_.scheduler.items()) {
    if (item.has_logits) add_choice(std::ssize(choices_), item.request);
  }
}

// Variants begin from the logits of their prompt, as many as have a slot. The others wait, with the prompt's blocks.
void SamplingStrategy::begin_variants() {
  const int64_t rows = std::ssize(choices_);
  int64_t most = 1;
  for (const auto& request : chosen_for_) most = std::max(most, request->slots);
  std::vector<int64_t> slots;
  if (most > 1) {
    for (const auto& request : chosen_for_) slots.push_back(request->slots);
  }
  for (int32_t i = 1; i < most; i++) {
    for (int64_t row = 0; row < rows; row++) {
      if (slots[row] <= i) continue;
      const auto& first = *chosen_for_[row];
      const auto variant = copy(first, first.variant + i);
      parts_.scheduler.add_running(first, variant);
      add_choice(row, variant);
    }
  }
  for (int64_t row = 0; row < rows; row++) {
    auto& first = *chosen_for_[row];
    const auto begun = static_cast<int32_t>(slots.empty() ? 1 : slots[row]);
    if (const auto others = first.variants - begun; others > 0) {
      const auto waiting = copy(first, first.variant + begun);
      waiting->variants = others;
      waiting->sequences.front().cached--;  // the last token's logits are needed again
      parts_.scheduler.add(waiting);
    }
    first.variants = 1;
  }
}

RequestPtr SamplingStrategy::copy(const Request& request, int32_t variant) const {
  auto copy = std::make_shared<Request>(parts_.tokenizer, parts_.stops);
  copy->row = request.row;
  copy->variant = variant;
  copy->prompt = request.prompt;
  copy->max_new_tokens = request.max_new_tokens;
  copy->sequences = request.sequences;
  copy->sequences.front().ids.reserve(request.prompt + request.max_new_tokens);
  parts_.cache.share(copy->sequences.front());
  return copy;
}

void SamplingStrategy::add_choice(int64_t logits_row, const RequestPtr& request) {
  const auto& sequence = request->sequences.front();
  const int32_t last = sequence.unknown > 0 ? request->number : -1;
  request->number = static_cast<int32_t>(choices_.size());
  choices_.push_back(
      {.logits_row = logits_row,
       .history = {.ids = sequence.ids, .prompt = request->prompt, .last = last},
       .draw = {
           .row = request->row, .variant = request->variant, .position = static_cast<int32_t>(request->written())}});
  chosen_for_.push_back(request);
}

bool SamplingStrategy::settle() {
  if (unread_.empty()) return false;
  const auto requests = std::move(unread_.front());
  unread_.pop_front();
  const auto tokens = sampler_.read(unread_.empty() ? Sampler::Which::latest : Sampler::Which::previous);
  for (size_t i = 0; i < requests.size(); i++) {
    if (!requests[i]->ended) take(*requests[i], tokens[i]);
  }
  return true;
}

void SamplingStrategy::take(Request& request, const Sampler::Token& token) {
  auto& sequence = request.sequences.front();
  sequence.ids.push_back(token.id);
  sequence.unknown--;
  request.log_probability += token.log_probability;
  request.sampled_log_probability += token.sampled_log_probability;
  parts_.counts.written_tokens++;
  const auto end = add_to_text(request, token.id);
  if (piece) {
    if (const auto text = request.text.next_piece(end.has_value()); !text.empty()) piece(text);
  }
  if (!end) return;
  request.ended = true;
  Written written{.row = request.row,
                  .variant = request.variant,
                  .ids = {sequence.ids.begin() + request.prompt, sequence.ids.end()},
                  .text = request.text.text(),
                  .log_probability = request.log_probability,
                  .sampled_log_probability = request.sampled_log_probability,
                  .end = *end};
  parts_.scheduler.remove(request);
  deliver(std::move(written));
}

std::optional<EndReason> SamplingStrategy::add_to_text(Request& request, int32_t id) const {
  if (std::ranges::binary_search(parts_.end_ids, id)) {
    request.text.finish();
    return EndReason::end_token;
  }
  if (request.text.add(id)) return EndReason::stop_string;
  if (std::ssize(request.sequences.front().ids) - request.prompt < request.max_new_tokens) return std::nullopt;
  return request.text.finish() ? EndReason::stop_string : EndReason::length;
}

}  // namespace sartor::inference
