// Texts are tokenized, divided and written as the file that trainers read.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "interactions/write_prepared.h"
#include "text/text_source.h"
#include "text/tokenizer.h"

namespace sartor::datasets {

enum class TextDuplicates { keep, once };
constexpr auto choices(TextDuplicates) {
  return std::to_array<Choice<TextDuplicates>>({{"keep", TextDuplicates::keep}, {"once", TextDuplicates::once}});
}

enum class TextSplit { random, stratified, rows };
constexpr auto choices(TextSplit) {
  return std::to_array<Choice<TextSplit>>(
      {{"random", TextSplit::random}, {"stratified", TextSplit::stratified}, {"rows", TextSplit::rows}});
}

struct TextSplitConfig {
  TextSplit method = TextSplit::stratified;
  double test = 0.1;
  double validation = 0.1;
  std::string seed;
  std::optional<int64_t> first_test_row, test_rows;

  template <class Fields> void describe(Fields& field) {
    field("method", method,
          "random: any rows; stratified: the same share of each class; rows: a block of rows for test, the others at "
          "random.");
    field("test", test, between(0, 1), "Part of the rows for test.");
    field("validation", validation, between(0, 1), "Part of the rows for validation.");
    field("seed", seed,
          "Any text. Rows are divided by the SHA-256 of it and their text: the order of the rows changes "
          "nothing, and equal texts stay together.");
    field("first_test_row", first_test_row, between(0, 1e15), "With rows: the first test row that is kept, from 0.");
    field("test_rows", test_rows, between(1, 1e15), "With rows: how many rows are for test.");
  }
  void check() const {
    const bool by_rows = method == TextSplit::rows;
    require(by_rows == first_test_row.has_value() && by_rows == test_rows.has_value(),
            "first_test_row and test_rows are for method rows, which needs both; method is {}", name_of(method));
    require(test + validation < 1, "test {} and validation {} leave nothing for training", test, validation);
  }
};

// Rows but for the last line; full: of max_length tokens, which most of them were cut to.
struct TextReport {
  int64_t read = 0, repeated = 0, contradicting = 0, full = 0;
  int64_t train = 0, validation = 0, test = 0;  // rows
  int64_t tokens = 0, unknown = 0;              // of all that were read; unknown: [UNK]
};

// What is to be known of the tokenized texts beside themselves.
struct TextsProvenance {
  std::string tokenizer_hash;
  // The file's JSON and data_hash, once the counts are known.
  std::function<Provenance(const TextReport&)> describe;
};

// Reads the source to its end. Of n rows in a class (or in all) that come in the order of their hashes, the first
// floor(n (1 - test - validation)) are for training, then those up to floor(n (1 - test)) for validation, as far as
// doubles tell; rows of a table that is for one part are not counted. With `once` a text that was read before is left
// out, and one with different labels wholly. Texts are cut to max_length tokens, the longer of a pair first. Memory:
// about 100 bytes a row; ids wait in a nameless file beside the output. Throws std::invalid_argument where nothing is
// left for training, or a class has no row.
TextReport write_texts(const std::filesystem::path& path, TextSource& source, const TextConfig& config,
                       const text::Tokenizer& tokenizer, int64_t max_length, TextDuplicates duplicates,
                       const TextSplitConfig& split, const TextsProvenance& provenance,
                       const text::RunTasks& run = nullptr);

}  // namespace sartor::datasets
