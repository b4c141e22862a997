// Tokenizes and splits texts and writes the tokenized file, the input of training.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

#include "interactions/write_prepared.h"
#include "text/text_division.h"
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

// Counts of the written rows, after removal of repeated texts.
struct TextReport : RowCounts {
  int64_t full = 0;  // rows of max_length tokens
  int64_t tokens = 0, unknown = 0;
  int64_t empty = 0;  // texts without tokens, which have no row
};

// Options of write_texts.
struct TextsRequest {
  RowLength length;
  TextDuplicates duplicates = TextDuplicates::once;
  TextSplitConfig split = {};
  // Returns the file's provenance, given the final counts.
  std::function<datasets::Provenance(const TextReport&)> describe;
  RunTasks run = nullptr;  // default: tokenize on the calling thread
};

// Reads all rows of the source, which was opened with `config`, and splits them with TextDivision. Pairs are cut at the
// end of the longer text first. Memory: about 150 bytes per row; token ids are kept in a temporary file in the output's
// folder. Throws std::invalid_argument if no row is left for training, a class has no row, special tokens alone fill a
// row, or pairs would have to be divided.
TextReport write_texts(const std::filesystem::path& path, TextSource& source, const TextConfig& config,
                       const Tokenizer& tokenizer, const TextsRequest& request);

}  // namespace sartor::text
