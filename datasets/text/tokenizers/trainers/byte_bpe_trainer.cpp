#include "text/tokenizers/trainers/byte_bpe_trainer.h"

#include <algorithm>
#include <array>

#include "base/require.h"
#include "base/utf8.h"
#include "encodings/unicode.h"
#include "text/tokenizers/parts/byte_alphabet.h"

namespace sartor::text {
namespace {

// Adds the characters of all bytes in the order of their code points. Returns the ids of the bytes.
std::array<int32_t, 256> add_alphabet(GrowingVocabulary& vocabulary) {
  std::vector<std::string> alphabet;  // in UTF-8, which preserves the order of code points
  for (int byte = 0; byte < 256; byte++) alphabet.emplace_back(byte_character(static_cast<uint8_t>(byte)));
  std::ranges::sort(alphabet);
  for (const auto& character : alphabet) vocabulary.add(character);
  std::array<int32_t, 256> ids;
  for (int byte = 0; byte < 256; byte++)
    ids[byte] = vocabulary[std::string(byte_character(static_cast<uint8_t>(byte)))];
  return ids;
}

}  // namespace

ByteBpeTrainer::ByteBpeTrainer(ByteBpeTrainerOptions options) : options_(std::move(options)) {
  require(options_.vocabulary_size > 0 && options_.vocabulary_size <= INT32_MAX,
          "vocabulary_size is {}, expected 1 to {}", options_.vocabulary_size, INT32_MAX);
  require(options_.min_frequency >= 1, "min_frequency is {}, expected 1 or more", options_.min_frequency);
  require(options_.max_token_length.value_or(1) >= 1, "max_token_length is {}, expected 1 or more",
          options_.max_token_length.value_or(1));
  require(
      !options_.add_prefix_space || options_.pattern == SplitPattern::gpt2 || options_.pattern == SplitPattern::none,
      "add_prefix_space is only possible with the patterns gpt2 and none");
  for (const auto& token : options_.special_tokens) {
    require(!token.empty() && valid_utf8(token) == token.size(), "special_tokens contain {}",
            token.empty() ? "an empty token" : "invalid UTF-8");
  }
}

void ByteBpeTrainer::add(std::string_view text) {
  std::string whole;
  if (valid_utf8(text) != text.size()) {
    whole = unicode::replace_broken(text);
    text = whole;
  }
  if (options_.add_prefix_space && !text.empty() && !text.starts_with(' ')) {
    std::string prefixed(1, ' ');
    prefixed += text;
    whole = std::move(prefixed);
    text = whole;
  }
  for (size_t at = 0; at < text.size();) {
    const size_t end = next_split(options_.pattern, text, at);
    count_word(words_, text.substr(at, end - at));
    at = end;
  }
}

TokenizerSpec ByteBpeTrainer::train() const {
  require(!words_.empty(), "there are no words to train a vocabulary on");
  GrowingVocabulary vocabulary;
  for (const auto& token : options_.special_tokens) vocabulary.add(token);
  const auto special = static_cast<int32_t>(vocabulary.size());
  const auto bytes = add_alphabet(vocabulary);

  PairMerger merger(vocabulary);
  std::vector<int32_t> tokens;
  for (const auto& [word, count] : sorted(words_)) {
    tokens.clear();
    for (const char byte : word) tokens.push_back(bytes[static_cast<uint8_t>(byte)]);
    merger.add(tokens, count);
  }
  const auto merges = merger.run({.vocabulary_size = options_.vocabulary_size,
                                  .min_frequency = options_.min_frequency,
                                  .max_length = options_.max_token_length.value_or(INT64_MAX)});

  TokenizerSpec spec;
  ByteBpe model;
  for (const auto& [left, right] : merges) model.merges.push_back({vocabulary[left], vocabulary[right]});
  spec.model = std::move(model);
  for (int32_t id = 0; id < vocabulary.size(); id++) spec.vocabulary.push_back({vocabulary[id], id});
  for (int32_t id = 0; id < special; id++)
    spec.added_tokens.push_back({.content = vocabulary[id], .id = id, .special = true, .normalized = false});
  spec.normalizer = NoNormalizer();
  spec.pre_tokenizer =
      ByteLevelPreTokenizer{.pattern = options_.pattern, .add_prefix_space = options_.add_prefix_space};
  spec.post_processor = TemplateProcessing();
  spec.decoder = ByteLevelDecoder();
  return spec;
}

}  // namespace sartor::text
