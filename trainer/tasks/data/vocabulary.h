// task: vocabulary. Trains a WordPiece or byte-level BPE tokenizer on tables of texts.
#pragma once

#include <array>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "runtime/runtime.h"
#include "text/text_division.h"
#include "text/tokenizers/trainers/byte_bpe_trainer.h"

namespace sartor {

enum class VocabularyModel { wordpiece, byte_bpe };
constexpr auto choices(VocabularyModel) {
  return std::to_array<Choice<VocabularyModel>>(
      {{"wordpiece", VocabularyModel::wordpiece}, {"byte_bpe", VocabularyModel::byte_bpe}});
}

struct NormalizerConfig {
  bool lowercase = true;
  std::optional<bool> strip_accents;
  bool handle_chinese_chars = true;

  template <class Fields> void describe(Fields& field) {
    field("lowercase", lowercase, "Whether to lowercase texts.");
    field("strip_accents", strip_accents, "Whether to remove accents; same as lowercase if absent.");
    field("handle_chinese_chars", handle_chinese_chars,
          "Whether to make each Chinese character a token of its own. If false, frequent sequences of characters may "
          "become one token.");
  }
};

struct VocabularyConfig : RuntimeConfig {
  text::TextConfig data;
  text::TextDuplicates duplicates = text::TextDuplicates::once;
  text::TextSplitConfig split;
  VocabularyModel model = VocabularyModel::wordpiece;
  int64_t vocab_size = 30'000;
  int64_t min_frequency = 2;
  int64_t limit_alphabet = 0;
  NormalizerConfig normalizer;
  std::vector<std::string> special_tokens = {"<|endoftext|>"};
  text::SplitPattern pattern = text::SplitPattern::gpt2;
  bool add_prefix_space = false;
  std::optional<int64_t> max_token_length;
  int64_t model_max_length = 512;
  std::string output;
  std::optional<std::string> rejects;

  template <class Fields> void describe(Fields& field) {
    RuntimeConfig::describe(field);
    field("data", data, "Tables of texts to read, as for tokenize.");
    field("duplicates", duplicates, "How to handle repeated texts, as for tokenize.");
    field("split", split,
          "How to split the rows, as for tokenize. Only training rows are used: the same rows that tokenize assigns to "
          "training if data, duplicates and split are the same.");
    field("vocab_size", vocab_size, between(1, 1 << 24),
          "Maximum number of tokens. Special tokens and the alphabet are always included, even if they exceed it.");
    field("min_frequency", min_frequency, at_least(1),
          "Minimum number of occurrences of a pair of adjacent tokens for it to be merged into one.");
    field.choice("model", model,
                 "Model of tokens: wordpiece for encoders such as BERT, byte_bpe for generators such as GPT.",
                 [&](VocabularyModel each) {
                   each == VocabularyModel::wordpiece ? describe_wordpiece(field) : describe_byte_bpe(field);
                 });
    field("model_max_length", model_max_length, between(1, 1 << 20),
          "Maximum sequence length in tokens, written to tokenizer_config.json.");
    field.required("output", output, file_path(),
                   "Tokenizer folder to write: tokenizer.json, tokenizer_config.json, and vocab.txt or vocab.json and "
                   "merges.txt.");
    field("rejects", rejects, file_path(),
          "TSV file to write rejected rows to, with the reason for each; OUTPUT.rejects.tsv if absent.");
  }
  template <class Fields> void describe_wordpiece(Fields& field) {
    field("limit_alphabet", limit_alphabet, at_least(0),
          "Number of distinct characters to keep, the most frequent first; others become [UNK]. 0: keep all.");
    field("normalizer", normalizer, "How to normalize texts before they are split into words.");
  }
  template <class Fields> void describe_byte_bpe(Fields& field) {
    field("special_tokens", special_tokens,
          "Tokens with the first ids, in this order. The first one ends texts and pads them.");
    field("pattern", pattern,
          "How to split texts into words, which no token crosses: as the tokenizer of that model; digits: as gpt2, but "
          "each digit is a word (SmolLM2); none: each text is one word.");
    field("add_prefix_space", add_prefix_space,
          "Whether to add a space before texts that do not begin with one. Only with the patterns gpt2 and none.");
    field("max_token_length", max_token_length, at_least(1),
          "Tokens of more than two bytes are shorter than this number of bytes. Absent: no maximum.");
  }
  void check() const;
  std::string folder() const {  // the output without a trailing slash
    const std::filesystem::path path = output;
    return (path.has_filename() ? path : path.parent_path()).string();
  }
  std::string rejects_path() const { return rejects.value_or(folder() + ".rejects.tsv"); }
  std::vector<std::filesystem::path> reads() const { return files_to_read(data); }
  std::vector<Output> writes() const { return {{.path = folder(), .folder = true}, {rejects_path()}}; }
};

void vocabulary(const VocabularyConfig& config, Runtime& runtime);

}  // namespace sartor
