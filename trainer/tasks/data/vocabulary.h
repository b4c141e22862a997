// task: vocabulary — tables of texts in, a tokenizer of their words out.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "runtime/runtime.h"
#include "text/text_division.h"

namespace sartor {

struct NormalizerConfig {
  bool lowercase = true;
  std::optional<bool> strip_accents;
  bool handle_chinese_chars = true;

  template <class Fields> void describe(Fields& field) {
    field("lowercase", lowercase, "Whether capital letters become small ones.");
    field("strip_accents", strip_accents, "Whether accents are dropped; as lowercase if absent.");
    field("handle_chinese_chars", handle_chinese_chars,
          "Whether each Chinese character is a token; if not, frequent words of several become one.");
  }
};

struct VocabularyConfig : RuntimeConfig {
  text::TextConfig data;
  text::TextDuplicates duplicates = text::TextDuplicates::once;
  text::TextSplitConfig split;
  int64_t vocab_size = 30'000;
  int64_t min_frequency = 2;
  int64_t limit_alphabet = 0;
  NormalizerConfig normalizer;
  int64_t model_max_length = 512;
  std::string output;
  std::optional<std::string> rejects;

  template <class Fields> void describe(Fields& field) {
    RuntimeConfig::describe(field);
    field("data", data, "Texts, as for tokenize.");
    field("duplicates", duplicates, "As for tokenize.");
    field("split", split,
          "As for tokenize. Only training rows are learnt from: with the same data, duplicates and split they are the "
          "rows that tokenize puts into training.");
    field("vocab_size", vocab_size, between(1, 1 << 24),
          "Tokens at most; special tokens and the alphabet are there in any case.");
    field("min_frequency", min_frequency, at_least(1), "Of two neighbouring pieces that become one.");
    field("limit_alphabet", limit_alphabet, at_least(0),
          "Characters that are kept, the most frequent ones; others are [UNK]. 0: all.");
    field("normalizer", normalizer, "What texts are before they are cut.");
    field("model_max_length", model_max_length, between(1, 1 << 20), "Tokens that the models take it is for.");
    field.required("output", output, file_path(),
                   "Tokenizer's folder to write: vocab.txt, tokenizer.json, tokenizer_config.json.");
    field("rejects", rejects, file_path(),
          "TSV file for rows that are unfit, with the reason; beside the output, as OUTPUT.rejects.tsv, if absent.");
  }
  std::string folder() const {  // without a slash at its end
    const std::filesystem::path path = output;
    return (path.has_filename() ? path : path.parent_path()).string();
  }
  std::string rejects_path() const { return rejects.value_or(folder() + ".rejects.tsv"); }
  std::vector<std::filesystem::path> reads() const { return files_to_read(data); }
  std::vector<Output> writes() const { return {{.path = folder(), .folder = true}, {rejects_path()}}; }
};

void vocabulary(const VocabularyConfig& config, Runtime& runtime);

}  // namespace sartor
