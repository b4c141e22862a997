#include "copy/prompt_tokens.h"

#include "base/require.h"
#include "text/generator_rows.h"
#include "text/token_bytes.h"

namespace sartor::inference {
namespace {

std::vector<int32_t> tokens_before(const text::Tokenizer& tokenizer, text::ChatFormat format) {
  return text::adds_special_tokens(format) ? text::tokens_before_text(tokenizer) : std::vector<int32_t>();
}

}  // namespace

PromptTokens::PromptTokens(const text::Tokenizer& tokenizer, text::Chat chat, std::optional<int32_t> first,
                           PromptLimits limits)
    : tokenizer_(tokenizer),
      chat_(std::move(chat)),
      first_(first),
      limits_(limits),
      before_(tokens_before(tokenizer, chat_.format)) {
  const std::string marker = "\x01", rendered = text::render(chat_, marker).prompt;
  head_ = rendered.rfind(marker);
  tail_ = rendered.size() - head_ - marker.size();
}

std::vector<std::variant<PromptTokens::Ids, Refusal>> PromptTokens::encode(std::span<const std::string> prompts,
                                                                           const text::RunTasks& run) const {
  std::vector<std::string> rendered;
  for (const auto& prompt : prompts) rendered.push_back(text::render(chat_, prompt).prompt);
  const std::vector<std::string_view> texts(rendered.begin(), rendered.end());
  const auto encodings = tokenizer_.encode(texts, {}, {.special_tokens = false}, run);
  std::vector<std::variant<Ids, Refusal>> found;
  for (size_t i = 0; i < prompts.size(); i++) {
    found.push_back(fitted(prompts[i], rendered[i], begun(encodings.row(static_cast<int64_t>(i)))));
  }
  return found;
}

PromptTokens::Ids PromptTokens::begun(std::span<const int32_t> ids) const {
  auto row = text::begun_with(before_, ids);
  if (row.empty() && first_) row.push_back(*first_);
  return row;
}

std::variant<PromptTokens::Ids, Refusal> PromptTokens::fitted(const std::string& prompt, const std::string& rendered,
                                                              Ids ids) const {
  if (ids.empty()) return Refusal{"prompt has no tokens", prompt};
  if (std::ssize(ids) <= limits_.room()) return ids;
  const auto numbers = fmt::format("{} tokens, but max_new_tokens {} leaves {} of {}", ids.size(),
                                   limits_.max_new_tokens, limits_.room(), limits_.max_length);
  if (limits_.long_prompt == LongPrompt::cut_left) {
    if (auto rest = cut(rendered, ids)) return std::move(*rest);
  }
  return Refusal{"prompt is too long", fmt::format("{}: {}", numbers, prompt),
                 limits_.long_prompt == LongPrompt::error};
}

// Without the prompt's first tokens; nullopt if none of them would be left.
std::optional<PromptTokens::Ids> PromptTokens::cut(const std::string& rendered, const Ids& ids) const {
  const auto ends = text::byte_ends(tokenizer_, rendered, std::ssize(ids));
  const auto added = std::ssize(ids) - std::ssize(ends);  // special tokens that are not in the text
  const auto token_after = [&](size_t byte) {             // the first one that ends after it
    return std::ranges::upper_bound(ends, static_cast<int64_t>(byte)) - ends.begin();
  };
  const auto begin = token_after(head_), end = token_after(rendered.size() - tail_);
  auto rest = begin + std::ssize(ids) - limits_.room();  // the first token to keep
  while (rest > 0 && rest < end && (static_cast<uint8_t>(rendered[ends[rest - 1]]) & 0xC0) == 0x80) rest++;
  if (rest >= end) return {};
  Ids kept(ids.begin(), ids.begin() + added + begin);
  kept.insert(kept.end(), ids.begin() + added + rest, ids.end());
  return kept;
}

}  // namespace sartor::inference
