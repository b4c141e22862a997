// The tokenized file: token ids and labels of texts, split into parts; may exceed memory. One HDF5 file:
//
//   attributes                  schema, schema_version, provenance (JSON), data_hash, tokenizer_hash, label_kind,
//                               max_length; text and pair: the templates of the texts, if any; for generators (version
//                               3) also content, chat (name of the chat format), and if they exist system (the chat's
//                               system line), rejected (template) and end (the token that ends a text or an answer)
//   /labels (C)                 class names; ["value"] for regression; absent for texts without labels
//
//   /train/, /validation/, /test/
//     offsets (N + 1) int64     row r has the ids offsets[r] .. offsets[r + 1] - 1
//     ids (T) int32             token ids, including special tokens
//     second (N) int32          number of tokens before the second text (token type 1); the row's length without one.
//                               Generators: number of prompt tokens, which are not predicted; 0 for plain texts
//     labels (N, C) float32     1 for the row's classes and 0 for others, or the number; absent without labels
//     sources (N) int64         row number in the concatenated files of all tables, from 1, including headers and
//                               blank lines
//     weights (N) float32       generators: weights of the rows in the loss; absent if all are 1
//     bytes (N) int32           generators: UTF-8 bytes of the plain text or the completion without special tokens, as
//                               far as the row contains it
//
// Files of preferences have two rows per pair: 2 i is the chosen text, 2 i + 1 the rejected one, with equal prompts.
// Written by text/write_texts.h.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "schema/fields.h"
#include "storage/hdf5_file.h"

namespace sartor::datasets {

inline constexpr const char* texts_schema = "sartor.texts";
inline constexpr int64_t texts_version = 2;            // of files for classification and pretraining
inline constexpr int64_t generator_texts_version = 3;  // of files for generators

// What the rows are for. Files of version 2 are for classification.
enum class Content { classification, language_modeling, prompt_completion, preference };
constexpr auto choices(Content) {
  return std::to_array<Choice<Content>>({{"classification", Content::classification},
                                         {"language_modeling", Content::language_modeling},
                                         {"prompt_completion", Content::prompt_completion},
                                         {"preference", Content::preference}});
}

// One part of the file. Lengths and labels are kept in memory; ids are read on demand, also on several threads, which
// Debian's HDF5 lets read one after the other.
class StoredTexts {
 public:
  StoredTexts(const Hdf5File& file, const std::string& group, int64_t classes, int64_t max_length,
              Content content = Content::classification);

  int64_t rows() const { return std::ssize(lengths_); }
  const std::vector<int32_t>& lengths() const { return lengths_; }  // in tokens, at least 1
  const std::vector<int32_t>& second() const { return second_; }    // (N)
  std::span<const float> labels(int64_t row) const;                 // (C)
  std::span<const float> weights() const { return weights_; }       // (N), finite, at least 0; empty if all are 1
  std::span<const int32_t> bytes() const { return bytes_; }         // (N); empty for classification
  // Token ids of rows, which may be in any order and repeated. A batch is one access to the file (see
  // Hdf5Numbers::read). Throws std::invalid_argument if an id is negative.
  std::vector<std::vector<int32_t>> ids(std::span<const int64_t> rows) const;
  std::vector<int32_t> ids(int64_t row) const;
  std::vector<int64_t> sources() const;

 private:
  void check_lengths(int64_t max_length);
  void read_labels(const Hdf5File& file, const std::string& group);
  void read_generator_rows(const Hdf5File& file, const std::string& group, Content content);
  void check_prompts(Content content) const;

  Hdf5Numbers<int32_t> ids_;
  std::string group_;  // FILE: GROUP, for messages
  Hdf5Numbers<int64_t> sources_;
  int64_t classes_;
  std::vector<int64_t> offsets_;
  std::vector<int32_t> lengths_, second_, bytes_;
  std::vector<float> labels_, weights_;
};

struct TokenizedTexts {
  Hdf5File file;
  std::string label_kind;  // single_label, multi_label, regression, none
  std::vector<std::string> labels;
  int64_t max_length;
  std::optional<std::string> text, pair;  // templates; absent in files of earlier versions
  std::string provenance, data_hash, tokenizer_hash;
  Content content;
  std::string chat;                             // name of the chat format of the prompts, or none
  std::optional<std::string> system, rejected;  // system line of the chat; template of the rejected texts
  std::optional<int64_t> end;                   // token that ends a text or an answer
  StoredTexts train, validation, test;
};

// Validates everything except the ids, which are validated when read. Throws std::invalid_argument.
TokenizedTexts open_texts(const std::filesystem::path& path);

}  // namespace sartor::datasets
