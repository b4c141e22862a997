// The tokenized file: token ids and labels of texts, split into parts; may exceed memory. One HDF5 file:
//
//   attributes                  schema, schema_version, provenance (JSON), data_hash, tokenizer_hash, label_kind,
//                               max_length; text and pair: the templates of the texts, if any
//   /labels (C)                 class names; ["value"] for regression; absent for texts without labels
//
//   /train/, /validation/, /test/
//     offsets (N + 1) int64     row r has the ids offsets[r] .. offsets[r + 1] - 1
//     ids (T) int32             token ids, including special tokens
//     second (N) int32          number of tokens before the second text (token type 1); the row's length without one
//     labels (N, C) float32     1 for the row's classes and 0 for others, or the number; absent without labels
//     sources (N) int64         row number in the concatenated files of all tables, from 1, including headers and
//                               blank lines
//
// Written by text/write_texts.h.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "storage/hdf5_file.h"

namespace sartor::datasets {

inline constexpr const char* texts_schema = "sartor.texts";
inline constexpr int64_t texts_version = 2;

// One part of the file. Lengths and labels are kept in memory; ids are read on demand.
class StoredTexts {
 public:
  StoredTexts(const Hdf5File& file, const std::string& group, int64_t classes, int64_t max_length);

  int64_t rows() const { return std::ssize(lengths_); }
  const std::vector<int32_t>& lengths() const { return lengths_; }  // in tokens, at least 1
  const std::vector<int32_t>& second() const { return second_; }    // (N)
  std::span<const float> labels(int64_t row) const;                 // (C)
  // Token ids of rows, which may be in any order and repeated. A batch is one access to the file (see
  // Hdf5Numbers::read). Throws std::invalid_argument if an id is negative.
  std::vector<std::vector<int32_t>> ids(std::span<const int64_t> rows) const;
  std::vector<int32_t> ids(int64_t row) const;
  std::vector<int64_t> sources() const;

 private:
  Hdf5Numbers<int32_t> ids_;
  std::string group_;
  Hdf5Numbers<int64_t> sources_;
  int64_t classes_;
  std::vector<int64_t> offsets_;
  std::vector<int32_t> lengths_, second_;
  std::vector<float> labels_;
};

struct TokenizedTexts {
  Hdf5File file;
  std::string label_kind;  // single_label, multi_label, regression, none
  std::vector<std::string> labels;
  int64_t max_length;
  std::optional<std::string> text, pair;  // templates; absent in files of earlier versions
  std::string provenance, data_hash, tokenizer_hash;
  StoredTexts train, validation, test;
};

// Validates everything except the ids, which are validated when read. Throws std::invalid_argument.
TokenizedTexts open_texts(const std::filesystem::path& path);

}  // namespace sartor::datasets
