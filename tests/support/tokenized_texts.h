// Writes tokenized files and tokenizers for tests of generators, without libtorch.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "storage/hdf5_file.h"
#include "storage/stored_texts.h"
#include "text/tokenizers/tokenizer_files.h"

namespace sartor::testing {

// A row of a tokenized file.
struct TokenizedRow {
  std::vector<int32_t> ids;
  int32_t prompt = 0;
  float weight = 1;
};
using TokenizedRows = std::vector<TokenizedRow>;

struct TokenizedParts {
  TokenizedRows train, validation = {}, test = {};
};

inline void write_part(datasets::Hdf5File& file, const std::string& group, const TokenizedRows& rows, bool weighted) {
  std::vector<int64_t> offsets = {0}, sources;
  std::vector<int32_t> ids, second, bytes;
  std::vector<float> weights;
  for (const auto& row : rows) {
    ids.insert(ids.end(), row.ids.begin(), row.ids.end());
    offsets.push_back(std::ssize(ids));
    sources.push_back(std::ssize(offsets));
    second.push_back(row.prompt);
    bytes.push_back(3 * static_cast<int32_t>(std::ssize(row.ids) - row.prompt));
    weights.push_back(row.weight);
  }
  const auto write = [&]<class T>(const char* name, const std::vector<T>& values) {
    file.create_list<T>(group + name, std::ssize(values)).write(0, values);
  };
  write("/offsets", offsets);
  write("/ids", ids);
  write("/second", second);
  write("/sources", sources);
  write("/bytes", bytes);
  if (weighted) write("/weights", weights);
}

// Writes a tokenizer folder with `tokens` tokens, 2 of which are [PAD] and [UNK].
inline void write_plain_tokenizer(const std::filesystem::path& folder, int64_t tokens) {
  std::filesystem::create_directories(folder);
  std::string lines = "[PAD]\n[UNK]\n";
  for (int64_t i = 2; i < tokens; i++) lines += "t" + std::to_string(i) + "\n";
  text::write_tokenizer(folder, text::parse_bert_tokenizer(lines, "vocab.txt", "", ""), 1024);
}

// Writes a tokenized file for the tokenizer of a folder.
inline void write_tokenized(const std::filesystem::path& path, datasets::Content content,
                            const std::filesystem::path& tokenizer, const TokenizedParts& parts, bool weighted = false,
                            int64_t max_length = 1024, std::optional<int64_t> end = {}) {
  auto file = datasets::Hdf5File::create(path);
  file.set_schema(datasets::texts_schema, datasets::generator_texts_version);
  file.set_attribute("provenance", std::string("{}"));
  file.set_attribute("data_hash", std::string("hash of " + path.string()));
  file.set_attribute("tokenizer_hash", hash_of(text::read_tokenizer(tokenizer)));
  file.set_attribute("label_kind", std::string("none"));
  file.set_attribute("max_length", max_length);
  file.set_attribute("text", std::string("{text}"));
  file.set_attribute("content", std::string(name_of(content)));
  file.set_attribute("chat", std::string("none"));
  if (end) file.set_attribute("end", *end);
  write_part(file, "/train", parts.train, weighted);
  write_part(file, "/validation", parts.validation, weighted);
  write_part(file, "/test", parts.test, weighted);
  file.close();
}

}  // namespace sartor::testing
