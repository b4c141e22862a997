// Tokenizes and splits texts and writes the tokenized file, the input of training.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "interactions/write_prepared.h"
#include "text/generation.h"
#include "text/text_division.h"
#include "text/tokenized_rows.h"
#include "text/tokenizers/tokenizer.h"

namespace sartor::text {

// Counts of the written rows, after removal of repeated texts.
struct TextReport : RowCounts {
  int64_t full = 0;  // rows of max_length tokens
  int64_t tokens = 0, unknown = 0;
  int64_t empty = 0;  // texts without tokens, which have no row

  // Generators.
  int64_t counted = 0;  // tokens in the loss
  int64_t bytes = 0;    // see StoredTexts::bytes()
  int64_t cut = 0;      // rows without the end of their text
};

// Options of write_texts.
struct TextsRequest {
  RowLength length;
  TextDuplicates duplicates = TextDuplicates::once;
  TextSplitConfig split = {};
  std::optional<Generation> generation = {};  // for generators, as the source's
  // Returns the file's provenance, given the final counts.
  std::function<datasets::Provenance(const TextReport&)> describe;
  RunTasks run = nullptr;  // default: tokenize on the calling thread
};

// Reads all rows of the source, which was opened with `config`, and splits them with TextDivision. Pairs are cut at the
// end of the longer text first. Memory: about 150 bytes per row; token ids are kept in a temporary file in the output's
// folder. Throws std::invalid_argument if no row is left for training, a class has no row, special tokens alone fill a
// row, pairs would have to be divided, or all training rows of a generator have weight 0.
TextReport write_texts(const std::filesystem::path& path, TextSource& source, const TextConfig& config,
                       const Tokenizer& tokenizer, const TextsRequest& request);

}  // namespace sartor::text
