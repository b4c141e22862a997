// Writes one text after the other, without a cache.
#pragma once

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

#include "decoding/penalties.h"
#include "decoding/sampling.h"
#include "inference/generation/decoding/writer_support.h"

namespace sartor::inference {

class NaiveWriter {
 public:
  using Logits = std::function<std::vector<float>(std::span<const int32_t>)>;
  NaiveWriter(Logits logits, const text::Tokenizer& tokenizer, DecodingConfig config, Ids end_ids)
      : logits_(std::move(logits)), tokenizer_(tokenizer), config_(std::move(config)), end_ids_(std::move(end_ids)) {
    if (config_.ignore_eos) end_ids_.clear();
    for (const auto& phrase : config_.banned_phrases) {
      for (const auto& text : {phrase, " " + phrase}) {
        const Ids ids = tokenizer.encode(text, {.special_tokens = false}).ids;
        banned_.insert(banned_.end(), ids.begin(), ids.end());
        offsets_.push_back(static_cast<int32_t>(banned_.size()));
      }
    }
  }

  Texts write(const std::vector<Prompt>& prompts) {
    Texts texts;
    for (const auto& prompt : prompts) {
      for (int32_t i = 0; i < prompt.variants; i++) add_text(texts, write(prompt, prompt.first_variant + i));
    }
    return texts;
  }

  Written write(const Prompt& prompt, int32_t variant) {
    Written written{.row = prompt.row, .variant = variant};
    for (int64_t position = 0; position < config_.max_new_tokens; position++) {
      const bool is_end = add_token(prompt, written);
      const auto end = is_end ? std::span(written.ids).first(written.ids.size() - 1) : std::span(written.ids);
      written.text = tokenizer_.decode(end);
      if (cut_at_stop(written.text)) {
        written.end = is_end ? EndReason::end_token : EndReason::stop_string;
        return written;
      }
      if (is_end) {
        written.end = EndReason::end_token;
        return written;
      }
    }
    return written;
  }

 private:
  bool add_token(const Prompt& prompt, Written& written) {
    Ids all = prompt.ids;
    all.insert(all.end(), written.ids.begin(), written.ids.end());
    auto logits = logits_(all);
    const auto size = static_cast<int64_t>(logits.size());
    std::vector<float> processed(size);
    int32_t length = static_cast<int32_t>(all.size()), first = static_cast<int32_t>(prompt.ids.size());
    cuda::penalize(
        context_,
        {.logits = {logits.data(), 1, size},
         .history = {all.data(), length, &length, &first},
         .params = {static_cast<float>(config_.repetition_penalty), static_cast<float>(config_.presence_penalty),
                    static_cast<float>(config_.frequency_penalty), static_cast<int32_t>(config_.no_repeat_ngram_size),
                    static_cast<int32_t>(config_.min_new_tokens)},
         .banned = {std::ssize(offsets_) - 1, offsets_.data(), banned_.data()},
         .end_ids = end_ids_.data(),
         .ends = std::ssize(end_ids_),
         .processed = {processed.data(), 1, size}});
    const cuda::Draw draw{prompt.row, written.variant, static_cast<int32_t>(written.ids.size())};
    int32_t id = 0;
    float log_probability = 0, sampled = 0;
    cuda::sample(context_, {.logits = {processed.data(), 1, size},
                            .model_logits = {logits.data(), 1, size},
                            .draws = &draw,
                            .params = {!config_.do_sample, static_cast<float>(config_.temperature),
                                       static_cast<int32_t>(config_.top_k), static_cast<float>(config_.top_p),
                                       static_cast<float>(config_.min_p), static_cast<uint64_t>(config_.seed)},
                            .ids = &id,
                            .log_probabilities = &log_probability,
                            .sampled_log_probabilities = &sampled});
    written.ids.push_back(id);
    written.log_probability += log_probability;
    written.sampled_log_probability += sampled;
    return std::ranges::find(end_ids_, id) != end_ids_.end();
  }

  bool cut_at_stop(std::string& text) const {
    for (size_t end = 1; end <= text.size(); end++) {
      size_t start = end;
      for (const auto& stop : config_.stop_strings) {
        if (text.substr(0, end).ends_with(stop)) start = std::min(start, end - stop.size());
      }
      if (start == end) continue;
      text.resize(start);
      return true;
    }
    return false;
  }

  Logits logits_;
  const text::Tokenizer& tokenizer_;
  DecodingConfig config_;
  Ids end_ids_, banned_;
  std::vector<int32_t> offsets_ = {0};
  cuda::Context context_ = cuda::Context::cpu(1);
};

}  // namespace sartor::inference
