// Texts are tokenized, divided and written as the file that trainers read.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

#include "interactions/write_prepared.h"
#include "text/text_division.h"
#include "text/tokenizer.h"

namespace sartor::datasets {

struct TextReport : RowCounts {
  int64_t full = 0;                 // rows of max_length tokens, which most of them were cut to
  int64_t tokens = 0, unknown = 0;  // of all that were read; unknown: [UNK]
};

// What is to be known of the tokenized texts beside themselves.
struct TextsProvenance {
  std::string tokenizer_hash;
  // The file's JSON and data_hash, once the counts are known.
  std::function<Provenance(const TextReport&)> describe;
};

// Reads the source to its end and divides the rows as TextDivision does. Texts are cut to max_length tokens, the longer
// of a pair first. Memory: about 120 bytes a row; ids wait in a nameless file beside the output. Throws
// std::invalid_argument where nothing is left for training, or a class has no row.
TextReport write_texts(const std::filesystem::path& path, TextSource& source, const TextConfig& config,
                       const text::Tokenizer& tokenizer, int64_t max_length, TextDuplicates duplicates,
                       const TextSplitConfig& split, const TextsProvenance& provenance,
                       const text::RunTasks& run = nullptr);

}  // namespace sartor::datasets
