// Byte-level BPE, as in GPT-2 (Radford et al. 2019): words as UTF-8 bytes, which are merged by rank.
#pragma once

#include <string>
#include <vector>

#include "text/tokenizers/model_spec.h"

namespace sartor::datasets {
class JsonField;
}

namespace sartor::text {

class ByteBpe final : public ModelSpec {
 public:
  struct Merge {
    std::string left, right;  // tokens in the byte-level alphabet (parts/byte_alphabet.h)
    bool operator==(const Merge&) const = default;
  };
  std::vector<Merge> merges;   // by rank; the last of several merges of a pair counts
  bool ignore_merges = false;  // a word that is a token is not merged

  // Throws std::invalid_argument if the model has dropout, prefixes or suffixes of words, or an unknown token that is
  // not redundant, or is a SentencePiece model.
  static ByteBpe read(const datasets::JsonField& model);

  // Bytes that are not in the vocabulary are dropped, as in Hugging Face's library. Throws std::invalid_argument if a
  // merge names a token that is not in the vocabulary, the pre-tokenizer is not ByteLevel, or the normalizer is not
  // NFC.
  std::unique_ptr<const TokenizerModel> make(const TokenizerSpec& spec) const override;
  nlohmann::ordered_json json(nlohmann::ordered_json vocabulary) const override;
  void append_hashed(nlohmann::json& hashed) const override;
  // Adds vocab.json and merges.txt. Throws std::invalid_argument if a token of a merge contains whitespace, which
  // merges.txt cannot express.
  void complete(const TokenizerSpec& spec, TokenizerFolder& folder) const override;
};

}  // namespace sartor::text
