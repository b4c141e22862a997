#include "models/hf/text_input.h"

#include "base/require.h"
#include "models/hf/json.h"
#include "storage/atomic_file.h"

namespace sartor::hf {
namespace {

constexpr const char* name = "input.json";
constexpr int64_t longest = 1 << 20;

template <class Value> nlohmann::ordered_json or_null(const std::optional<Value>& value) {
  return value ? nlohmann::ordered_json(*value) : nlohmann::ordered_json();
}

}  // namespace

void write_text_input(const std::filesystem::path& folder, const TextInput& input) {
  const nlohmann::ordered_json json = {
      {"text", input.text}, {"pair", or_null(input.pair)}, {"max_length", or_null(input.max_length)}};
  datasets::write_file(folder / name, json.dump(2) + "\n");
}

std::optional<TextInput> read_text_input(const std::filesystem::path& folder) {
  const auto path = folder / name;
  if (!std::filesystem::exists(path)) return {};
  const auto json = read_json(path);
  require(json.is_object(), "{}: found {}, expected an object", path.string(), kind_of(json));
  const auto field = [&](const char* key, auto is_kind, const char* expected) {
    const auto found = json.find(key);
    const bool absent = found == json.end() || found->is_null();
    require(absent || ((*found).*is_kind)(), "{}: {}: found {}, expected {}", path.string(), key,
            absent ? "null" : kind_of(*found), expected);
    return absent ? nullptr : &*found;
  };
  const auto* text = field("text", &Json::is_string, "a string");
  const auto* pair = field("pair", &Json::is_string, "a string or null");
  const auto* length = field("max_length", &Json::is_number_integer, "an integer or null");
  require(text != nullptr, "{}: has no text", path.string());
  TextInput input = {.text = text->get<std::string>()};
  if (pair) input.pair = pair->get<std::string>();
  if (!length) return input;
  input.max_length = length->get<int64_t>();
  require(1 <= *input.max_length && *input.max_length <= longest, "{}: max_length is {}, expected 1 to {}",
          path.string(), length->dump(), longest);
  return input;
}

}  // namespace sartor::hf
