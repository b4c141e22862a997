// Token ids of prompts.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "copy/prompts.h"
#include "text/chat_format.h"
#include "text/tokenizers/tokenizer.h"

namespace sartor::inference {

// What to do with prompts that leave no room for max_new_tokens.
enum class LongPrompt { reject, error, cut_left };
constexpr auto choices(LongPrompt) {
  return std::to_array<Choice<LongPrompt>>(
      {{"reject", LongPrompt::reject}, {"error", LongPrompt::error}, {"cut_left", LongPrompt::cut_left}});
}

struct PromptLimits {
  int64_t max_length = 0, max_new_tokens = 0;  // of prompt and text together; of the text
  LongPrompt long_prompt = LongPrompt::reject;

  int64_t room() const { return max_length - max_new_tokens; }
};

class PromptTokens {
 public:
  using Ids = std::vector<int32_t>;

  // `first` is the token that an empty prompt begins with, if there is one. The tokenizer must outlive this object.
  PromptTokens(const text::Tokenizer& tokenizer, text::Chat chat, std::optional<int32_t> first, PromptLimits limits);

  // The ids of each prompt, in the chat format and with the tokenizer's special tokens before it, or why it has none.
  // Long prompts are cut from the left, between characters: special tokens and the chat format's texts stay.
  std::vector<std::variant<Ids, Refusal>> encode(std::span<const std::string> prompts,
                                                 const text::RunTasks& run = nullptr) const;

 private:
  Ids begun(std::span<const int32_t> ids) const;
  std::variant<Ids, Refusal> fitted(const std::string& prompt, const std::string& rendered, Ids ids) const;
  std::optional<Ids> cut(const std::string& rendered, const Ids& ids) const;

  const text::Tokenizer& tokenizer_;
  const text::Chat chat_;
  const std::optional<int32_t> first_;
  const PromptLimits limits_;
  const Ids before_;            // special tokens before a prompt
  size_t head_ = 0, tail_ = 0;  // bytes of the chat format before and after a prompt
};

}  // namespace sartor::inference
