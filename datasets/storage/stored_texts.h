// The tokenized file: texts as token ids with their labels, divided, larger than memory if need be. One HDF5 file:
//
//   attributes                  schema, schema_version, provenance (JSON), data_hash, tokenizer_hash, label_kind,
//                               max_length; text and pair, the templates of the texts, if there are any
//   /labels (C)                 names of the classes; a regression's number has one, "value"; none for texts alone
//
//   /train/, /validation/, /test/
//     offsets (N + 1) int64     row r has the ids offsets[r] .. offsets[r + 1] - 1
//     ids (T) int32             special tokens and all
//     second (N) int32          tokens before the second text, whose token type is 1; the row's length without one
//     labels (N, C) float32     1 for the row's classes and 0 for others, or the number; none for texts alone
//     sources (N) int64         the row's number in the files of all tables, one after the other, from 1, headers and
//                               blank lines counted
//
// text/write_texts.h writes it.
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

// One part of the file; lengths and labels are in memory, ids are read when they are wanted.
class StoredTexts {
 public:
  StoredTexts(const Hdf5File& file, const std::string& group, int64_t classes, int64_t max_length);

  int64_t rows() const { return std::ssize(lengths_); }
  const std::vector<int32_t>& lengths() const { return lengths_; }  // in tokens, at least 1
  const std::vector<int32_t>& second() const { return second_; }    // (N)
  std::span<const float> labels(int64_t row) const;                 // (C)
  // The ids of rows, in their order, which is any; a row may be asked for several times. A batch is one access to the
  // file, however its rows lie there (Hdf5Numbers::read). Throws std::invalid_argument where an id is negative.
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
  std::optional<std::string> text, pair;  // templates; files of earlier versions do not tell
  std::string provenance, data_hash, tokenizer_hash;
  StoredTexts train, validation, test;
};

// Checks everything but the ids, which are checked when they are read. Throws std::invalid_argument.
TokenizedTexts open_texts(const std::filesystem::path& path);

}  // namespace sartor::datasets
