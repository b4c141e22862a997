#include "models/hf/text_input.h"

#include "models/hf/json_fields.h"
#include "storage/atomic_file.h"
#include "text/chat_format.h"

namespace sartor::hf {
namespace {

constexpr const char* name = "input.json";
constexpr int64_t longest = 1 << 20;

template <class Value> nlohmann::ordered_json or_null(const std::optional<Value>& value) {
  return value ? nlohmann::ordered_json(*value) : nlohmann::ordered_json();
}

}  // namespace

void write_text_input(const std::filesystem::path& folder, const TextInput& input) {
  nlohmann::ordered_json json = {
      {"text", input.text}, {"pair", or_null(input.pair)}, {"max_length", or_null(input.max_length)}};
  if (input.chat) {
    json["chat"] = *input.chat;
    json["system"] = or_null(input.system);
  }
  datasets::write_file(folder / name, json.dump(2) + "\n");
}

std::optional<TextInput> read_text_input(const std::filesystem::path& folder) {
  const auto path = folder / name;
  if (!std::filesystem::exists(path)) return {};
  const auto json = read_json(path);
  JsonFields fields(json, path.string());
  const auto chat = fields.choice<text::ChatFormat>("chat", choices(text::ChatFormat{}));
  return TextInput{.text = fields.required_text("text"),
                   .pair = fields.text("pair", "a string or null"),
                   .max_length = fields.integer("max_length", 1, longest, "an integer or null"),
                   .chat = chat ? std::optional(std::string(name_of(*chat))) : std::nullopt,
                   .system = fields.text("system", "a string or null")};
}

}  // namespace sartor::hf
