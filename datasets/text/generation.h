// Tokenized texts for generators: plain texts, prompts with completions, or preferences. Config and what follows from
// it and the tokenizer.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "storage/stored_texts.h"
#include "text/chat_format.h"
#include "text/text_source.h"
#include "text/tokenizers/tokenizer.h"

namespace sartor::text {

enum class ChatChoice { automatic, none, chatml, llama3 };
constexpr auto choices(ChatChoice) {
  return std::to_array<Choice<ChatChoice>>({{"auto", ChatChoice::automatic},
                                            {"none", ChatChoice::none},
                                            {"chatml", ChatChoice::chatml},
                                            {"llama3", ChatChoice::llama3}});
}

enum class SplitBy { prompt, completion };
constexpr auto choices(SplitBy) {
  return std::to_array<Choice<SplitBy>>({{"prompt", SplitBy::prompt}, {"completion", SplitBy::completion}});
}

struct GenerationConfig {
  ChatChoice chat = ChatChoice::automatic;
  std::optional<std::string> system;
  bool eos = true;
  std::optional<std::string> rejected;
  std::optional<std::string> weight, score;
  std::optional<int64_t> best_of;
  SplitBy split_by = SplitBy::prompt;

  template <class Fields> void describe(Fields& field) {
    field("chat", chat,
          "Chat format of prompts and completions. auto: the format of the tokenizer folder's chat template if it has "
          "one, otherwise none. Plain texts have none.");
    field("system", system,
          "System message of the chat. Default: the one of the folder's template; none if chat names a format.");
    field("eos", eos,
          "Whether to end texts and completions with the tokenizer's end-of-text token. In a chat the format ends the "
          "completion instead.");
    field(
        "rejected", rejected,
        "Template of the rejected texts of preferences; data.text is then the prompt's template, data.pair the one of "
        "the chosen texts.");
    field("weight", weight, "Column with the rows' weights in the loss, at least 0. Default: all rows have weight 1.");
    field("score", score, "Column with the scores for best_of, higher is better.");
    field("best_of", best_of, at_least(1),
          "Rows of each prompt to keep, the ones with the best scores; the first of equal ones.");
    field(
        "split_by", split_by,
        "What decides on a row's part of the data. prompt: all rows of a prompt are in one part, so that no prompt of "
        "the test rows was seen in training; completion: all rows of a completion (or chosen text) are in one part, "
        "the part of the same plain text. Use it if many rows share few prompts.");
  }
  void check() const {
    require(score.has_value() == best_of.has_value(), "score and best_of are required together, one is missing");
    require(!best_of || split_by == SplitBy::prompt, "best_of needs split_by: prompt");
    require(!best_of || !rejected, "best_of is for completions, not for preferences");
    require(!system || chat != ChatChoice::none, "system is set, but chat is none");
  }
};

// What the rows of these texts are for.
datasets::Content content_of(const TextConfig& texts, const GenerationConfig& generation);

// Throws std::invalid_argument if the two configs do not fit together.
void check(const TextConfig& texts, const GenerationConfig& generation);

struct Generation {
  GenerationConfig config;
  datasets::Content content = datasets::Content::language_modeling;
  Chat chat;
  std::vector<int32_t> end;  // tokens after a text or completion; the first of them ends it
};

// `tokenizer` was read from `path`, a folder or a tokenizer.json, whose folder names the chat format and the
// end-of-text token. Throws std::invalid_argument if it does not but the config needs it, or if the tokenizer lacks a
// token of the chat format.
Generation resolve(const TextConfig& texts, const GenerationConfig& generation, const std::filesystem::path& path,
                   const Tokenizer& tokenizer);

}  // namespace sartor::text
