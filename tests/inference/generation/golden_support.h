// Models and settings of tests/golden/generate_*.json.
#pragma once

#include <algorithm>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "generation/decoding_config.h"
#include "generation/text_writer.h"
#include "models/gpt/decoder.h"
#include "models/gpt/folder.h"
#include "support/folder_test.h"
#include "text/tokenizers/tokenizer.h"
#include "trainer/models/gpt_support.h"

namespace sartor::inference::testing {

using nlohmann::json;
using sartor::testing::golden;
using Ids = std::vector<int32_t>;

// Each printable ASCII character from '!' on is a token.
inline text::Tokenizer letters(int32_t count) {
  text::TokenizerSpec spec;
  for (int32_t id = 0; id < count; id++) spec.vocabulary.push_back({std::string(1, static_cast<char>('!' + id)), id});
  spec.model = text::ByteBpe();
  spec.normalizer = text::NoNormalizer();
  spec.pre_tokenizer = text::ByteLevelPreTokenizer();
  spec.decoder = text::ByteLevelDecoder();
  return text::Tokenizer(std::move(spec));
}

// From the arguments of transformers' generate().
inline DecodingConfig decoding_config(const json& settings) {
  DecodingConfig config;
  const auto read = [&]<class T>(const char* name, T& value) { value = settings.value(name, value); };
  read("max_new_tokens", config.max_new_tokens);
  read("min_new_tokens", config.min_new_tokens);
  read("num_beams", config.num_beams);
  read("num_return_sequences", config.num_return_sequences);
  read("length_penalty", config.length_penalty);
  read("repetition_penalty", config.repetition_penalty);
  read("no_repeat_ngram_size", config.no_repeat_ngram_size);
  const auto early = settings.value("early_stopping", json(false));
  config.early_stopping = early.is_string() ? EarlyStopping::never : early ? EarlyStopping::yes : EarlyStopping::no;
  return config;
}

inline Ids end_ids(const json& settings) { return settings.value("eos_token_id", Ids()); }

// The variants of each prompt, the best first for beam search, written together.
inline std::vector<std::vector<Written>> written(gpt::Decoder& decoder, const text::Tokenizer& tokenizer,
                                                 const json& settings, const std::vector<Ids>& prompts,
                                                 const WriterLimits& limits) {
  const auto config = decoding_config(settings);
  TextWriter writer(decoder, tokenizer, config, end_ids(settings), limits);
  std::vector<std::vector<Written>> found(prompts.size());
  size_t next = 0;
  writer.write(
      [&]() -> std::optional<Prompt> {
        if (next == prompts.size()) return std::nullopt;
        const auto row = static_cast<int64_t>(next++);
        return Prompt{.row = row, .ids = prompts[row], .variants = static_cast<int32_t>(config.num_return_sequences)};
      },
      [&](Written text) -> std::optional<Prompt> {
        found[text.row].push_back(std::move(text));
        return std::nullopt;
      });
  for (auto& variants : found) std::ranges::sort(variants, {}, &Written::variant);
  return found;
}

class GoldenDecoding : public sartor::testing::FolderTest {
 protected:
  // The decoders of the golden file's models, in the order of the file.
  std::vector<std::unique_ptr<gpt::Decoder>> decoders(const json& models) {
    std::vector<std::unique_ptr<gpt::Decoder>> made;
    for (const auto& model : models) {
      const std::filesystem::path folder = path(std::to_string(made.size()));
      std::filesystem::create_directory(folder);
      const auto config = gpt::parse_config(model["config"], "config.json");
      gpt::save_gpt(gpt::testing::made_model(config, model["scale"]), folder);
      made.push_back(gpt::open_decoder(folder, transformer::Precision::fp32, -1, 1));
    }
    return made;
  }
};

}  // namespace sartor::inference::testing
