// Texts are tokenized, divided and written as the file that trainers read.
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

// What becomes of texts of more tokens than a row may have: rows of their beginnings, or as many as they take, of about
// equal length.
enum class LongTexts { cut, divide };
constexpr auto choices(LongTexts) {
  return std::to_array<Choice<LongTexts>>({{"cut", LongTexts::cut}, {"divide", LongTexts::divide}});
}

struct RowLength {
  int64_t max_length;  // in tokens, special ones included
  LongTexts longer = LongTexts::cut;
};

// All but what was read and left out is of the file's rows.
struct TextReport : RowCounts {
  int64_t full = 0;  // rows of max_length tokens
  int64_t tokens = 0, unknown = 0;
  int64_t empty = 0;  // texts without any token: they have no row
};

// What write_texts makes of texts.
struct TextsRequest {
  RowLength length;
  TextDuplicates duplicates = TextDuplicates::once;
  TextSplitConfig split = {};
  // The file's JSON and data_hash, once the counts are known.
  std::function<datasets::Provenance(const TextReport&)> describe;
  RunTasks run = nullptr;  // without it the caller's thread does all
};

// Reads the source, which was opened with `config`, to its end and divides the texts into parts as TextDivision does.
// Of a pair that is cut the longer text is cut first. Memory: about 150 bytes a row; ids wait in a nameless file beside
// the output. Throws std::invalid_argument where nothing is left for training, a class has no row, special tokens alone
// fill a row, or pairs are to be divided.
TextReport write_texts(const std::filesystem::path& path, TextSource& source, const TextConfig& config,
                       const Tokenizer& tokenizer, const TextsRequest& request);

}  // namespace sartor::text
