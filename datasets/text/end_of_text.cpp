#include "text/end_of_text.h"

#include "base/require.h"
#include "storage/atomic_file.h"
#include "storage/json_fields.h"

namespace sartor::text {
namespace {

using datasets::JsonField;

// The token of a field, which is null, a text, or an object with the text.
std::optional<int32_t> named(const JsonField& field, const Tokenizer& tokenizer) {
  if (field.is_null()) return {};
  const auto token = field.value().is_object() ? field["content"].text() : field.text();
  const auto id = tokenizer.id_of(token);
  field.check(id.has_value(), "a token of the tokenizer");
  return id;
}

// The token of a field, which is null, an id, or a list of ids.
std::optional<int32_t> numbered(const JsonField& field, const Tokenizer& tokenizer) {
  if (field.is_null()) return {};
  std::optional<int32_t> id;
  const auto read = [&](const JsonField& each) {
    if (!id) id = static_cast<int32_t>(each.integer(0, tokenizer.vocabulary_size() - 1));
  };
  if (field.value().is_array()) {
    field.each(read);
  } else {
    read(field);
  }
  return id;
}

}  // namespace

std::optional<int32_t> end_of_text(const std::filesystem::path& folder, const Tokenizer& tokenizer) {
  using Find = std::optional<int32_t>(const JsonField&, const Tokenizer&);
  struct Place {
    const char *file, *key;
    Find* find;
  };
  for (const auto& [name, key, find] : {Place{"tokenizer_config.json", "eos_token", named},
                                        {"special_tokens_map.json", "eos_token", named},
                                        {"generation_config.json", "eos_token_id", numbered},
                                        {"config.json", "eos_token_id", numbered}}) {
    const auto path = (folder / name).string();
    if (!std::filesystem::exists(path)) continue;
    const auto json = datasets::parse_json(datasets::read_file(path), path);
    if (const auto id = find(JsonField(path, json)[key], tokenizer)) return id;
  }
  const bool byte_bpe =
      !std::filesystem::exists(folder / "tokenizer.json") && std::filesystem::exists(folder / "merges.txt");
  return byte_bpe ? tokenizer.id_of("<|endoftext|>") : std::nullopt;
}

}  // namespace sartor::text
