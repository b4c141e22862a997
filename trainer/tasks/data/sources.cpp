#include "tasks/data/sources.h"

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "storage/sha256.h"

namespace sartor {

nlohmann::ordered_json describe_files(const std::vector<std::string>& files) {
  auto described = nlohmann::ordered_json::array();
  for (const auto& file : files) {
    described.push_back(
        {{"path", file}, {"bytes", std::filesystem::file_size(file)}, {"sha256", datasets::sha256_file(file)}});
  }
  return described;
}

std::string data_hash(const nlohmann::ordered_json& files, const std::string& treatment) {
  std::string text;
  for (const auto& file : files) text += file["sha256"].get<std::string>() + "\n";
  return datasets::sha256(text + treatment);
}

std::string hash_of(const text::TokenizerSpec& spec) {
  using Json = nlohmann::json;
  auto json =
      Json::array({spec.unk_token, spec.continuing_subword_prefix, spec.max_input_chars_per_word,
                   spec.normalizer.clean_text, spec.normalizer.handle_chinese_chars,
                   spec.normalizer.strip_accents.value_or(spec.normalizer.lowercase), spec.normalizer.lowercase});
  auto vocabulary = Json::object();
  for (const auto& [text, id] : spec.vocabulary) vocabulary[text] = id;
  json.push_back(std::move(vocabulary));
  auto added = spec.added_tokens;  // files have them in different orders
  std::ranges::sort(added, {}, &text::AddedToken::id);
  for (const auto& token : added) {
    json.push_back({token.content, token.id, token.normalized, token.lstrip, token.rstrip, token.single_word});
  }
  for (const auto& pieces : {spec.single, spec.pair}) {
    for (const auto& [kind, type_id, ids] : pieces) json.push_back({static_cast<int>(kind), type_id, ids});
  }
  return datasets::sha256(json.dump(-1, ' ', false, Json::error_handler_t::replace));
}

}  // namespace sartor
