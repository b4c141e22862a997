// Tokenized rows before they are divided into parts: token ids in a temporary file, the rest in memory.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "storage/scratch_file.h"
#include "text/text_source.h"
#include "text/tokenizers/tokenizer.h"

namespace sartor::text {

// Handling of texts longer than max_length tokens: cut keeps the beginning; divide makes as many rows as necessary, of
// about equal length.
enum class LongTexts { cut, divide };
constexpr auto choices(LongTexts) {
  return std::to_array<Choice<LongTexts>>({{"cut", LongTexts::cut}, {"divide", LongTexts::divide}});
}

struct RowLength {
  int64_t max_length;  // in tokens, including special tokens
  LongTexts longer = LongTexts::cut;
};

// Location and counts of a row's token ids.
struct Tokens {
  int64_t begin = 0;  // byte offset in the scratch file
  int32_t length = 0, second = 0, unknown = 0;
  int32_t bytes = 0;  // see StoredTexts::bytes(); generators only, as `cut`
  bool cut = false;   // whether the end of the text is missing
};

struct TokenizedRows {
  std::vector<Tokens> rows;
  std::vector<int64_t> begins = {0};  // text i has the rows begins[i] .. begins[i + 1] - 1
  std::vector<int64_t> sources;       // row numbers of the texts in the tables
  std::vector<float> weights;         // of the texts; empty if all are 1
};

// Collects the rows of texts.
class RowCollector {
 public:
  RowCollector(const Tokenizer& tokenizer, datasets::ScratchFile& scratch)
      : scratch_(scratch), unknown_(unknown_id(tokenizer.spec())) {}

  // Adds a row of the current text. Its location, length and number of unknown tokens follow from `ids`.
  void add_row(std::span<const int32_t> ids, Tokens row);
  // Ends the current text. `weight`: its weight in the loss; for all texts or for none.
  void end_text(int64_t source, std::optional<float> weight = {});
  TokenizedRows take() { return std::move(found_); }

 private:
  TokenizedRows found_;
  datasets::ScratchFile& scratch_;
  const std::optional<int32_t> unknown_;
};

}  // namespace sartor::text
